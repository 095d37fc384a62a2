"""Profiling: what a column holds, in numbers."""

from pipelines.profiling.profile import MAX_TOP, QUANTILES, ColumnProfile, profile_relation

__all__ = ["MAX_TOP", "QUANTILES", "ColumnProfile", "profile_relation"]
