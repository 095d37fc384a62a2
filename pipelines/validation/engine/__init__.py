"""The engine: a suite run over partitions, by DuckDB where that provably gives the same.

:class:`Examiner` is its door. What it finds are :class:`Finding`, one a rule and partition, and the
table :data:`BREACHES` of the rows that break row-level rules.
"""

from pipelines.validation.engine.examiner import Examiner
from pipelines.validation.engine.findings import BREACHES, EngineName, Examination, Finding

__all__ = ["BREACHES", "EngineName", "Examination", "Examiner", "Finding"]
