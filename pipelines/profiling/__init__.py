"""Profiling: what a column holds, in numbers."""
