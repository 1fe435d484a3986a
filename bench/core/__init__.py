"""What knows nothing of faces or models."""
