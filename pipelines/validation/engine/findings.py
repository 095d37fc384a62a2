"""What an examination gives back: one finding a rule, and Great Expectations' own result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from great_expectations.core import ExpectationSuiteValidationResult

from pipelines.validation.rules import Rule

EngineName = Literal["duckdb", "great_expectations"]

#: The temporary table of the rows that break a row-level rule:
#: ``(partition_key VARCHAR, position BIGINT, rule INTEGER)``, ``rule`` being :attr:`Rule.position`.
BREACHES = "holdfast_breaches"


@dataclass(frozen=True)
class Finding:
    """How one rule did on one partition.

    Parameters
    ----------
    n_unexpected : int
        Rows that are not as expected; 0 where the rule is not about rows.
    observed : str
        What was seen, in words; at most 200 characters.
    engine : {"duckdb", "great_expectations"}
        Which engine read the data for it.
    is_evaluated : bool
        False where the rule compares with a training reference, and there is none yet.
    """

    rule: Rule
    is_met: bool
    n_unexpected: int
    observed: str
    engine: EngineName = "great_expectations"
    is_evaluated: bool = True


@dataclass(frozen=True)
class Examination:
    """All findings on one partition, in the order of the suite."""

    findings: tuple[Finding, ...]
    _build: Callable[[], ExpectationSuiteValidationResult] = field(repr=False, compare=False)

    @cached_property
    def result(self) -> ExpectationSuiteValidationResult:
        """Great Expectations' result, built when first asked for; lists are cut to 20 entries."""
        return self._build()
