"""How a model is trained: batches, steps, the loop."""
