"""What a model is worth, measured on rows that its training never saw."""
