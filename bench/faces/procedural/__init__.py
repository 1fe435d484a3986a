"""The embedded people, drawn by a procedure."""
