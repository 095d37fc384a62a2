"""Faults of the data on their way, told from a changed world by what they do to a column's values.

A season moves a column slowly, and a changed business moves some of its values. A fault changes all of them,
or a good part, from one night to the next, and in a way that can be named and undone.
"""

from pipelines.monitoring.bugs.finding import find_bugs

__all__ = ["find_bugs"]
