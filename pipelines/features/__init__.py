"""Features: one point-in-time query a dataset, one encoding for training and scoring alike."""
