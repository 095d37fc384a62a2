"""One scorer for every model family, on CPU and GPU."""
