"""The grid of a run: names to cells, cells to results."""
