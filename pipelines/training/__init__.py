"""From published partitions to a measured challenger, reproducible to the byte."""
