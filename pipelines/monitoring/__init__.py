"""Drift and performance: how far the data, the predictions and the labels have moved, and what it costs."""
