"""Whether a window differs from the reference by more than calm days do."""
