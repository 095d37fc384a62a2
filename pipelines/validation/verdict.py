"""What follows from the findings: whether a partition is published, and why not.

- A row that breaks a row-level expectation of severity critical or warning goes to quarantine with
  every such rule that it breaks; one of severity info only counts it.
- A row with a cell that could not be cast goes to quarantine with the rule ``cast:<column>`` and
  the cell's original text.
- ``mostly`` is the share that must hold. Below it an expectation is not met, and its severity
  decides: critical refuses the partition, warning publishes it as *warned*, info is written down.
- A partition is also refused if it is empty, if more than ``quality.max_quarantined_fraction`` of
  its rows would go to quarantine, or if none would be left.

Nothing is lost: rows in = rows published + rows in quarantine. Of a refused partition nothing is
published, its bad rows are shown in quarantine, and the raw partition keeps everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.records import ExpectationOutcome
from pipelines.storage.columns import ARROW_TYPES
from pipelines.validation.engine import Finding
from pipelines.validation.rules import Severity

MISCAST_COLUMN = "miscast"
#: What the lake's raw table has beside the declared columns.
OWN_TYPES: Mapping[str, pa.DataType] = {
    "row_id": pa.string(),
    "event_time": ARROW_TYPES["timestamp"],
    MISCAST_COLUMN: pa.string(),
    "source_file": pa.string(),
    "source_line": pa.int64(),
    "position": pa.int64(),
}
_MAX_BOUNDS_CHARS = 120
_UNMET_IS: Mapping[Severity, Literal["refused", "warned", "passed"]] = {
    "critical": "refused",
    "warning": "warned",
    "info": "passed",
}
Outcome = Literal["passed", "warned", "refused"]


@dataclass(frozen=True)
class Verdict:
    """The judgement on one partition.

    Parameters
    ----------
    reasons : tuple of str
        Why it is refused or warned, and what sent rows to quarantine; empty if all is well.
    ran_by : tuple of str
        The engine that ran each of the ``expectations``.
    is_misshapen : bool
        Whether it is refused because its columns are not those declared.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    expectations: tuple[ExpectationOutcome, ...] = ()
    ran_by: tuple[str, ...] = ()
    is_misshapen: bool = False


def judge(
    findings: Sequence[Finding],
    *,
    n_rows: int,
    n_bad: int,
    held_back: Mapping[str, int],
    max_quarantined_fraction: float,
) -> Verdict:
    """Return what follows from the findings on one partition.

    Parameters
    ----------
    findings : sequence of Finding
        How each expectation of the suite did.
    n_rows, n_bad : int
        The partition's rows, and how many of them belong in quarantine; ``n_rows >= 1``.
    held_back : mapping of str to int
        Rows that something else than an expectation keeps back, by its name: ``cast:<column>``,
        ``held(<column>)``.
    max_quarantined_fraction : float
        From 0 to 1; a larger share of rows in quarantine refuses the partition.
    """
    reasons = [f"quarantine: {rule}: {_held_back(rule, n)}" for rule, n in sorted(held_back.items())]
    verdicts = {"passed"}
    for finding in findings:
        if finding.is_evaluated and not finding.is_met:
            verdicts.add(_UNMET_IS[finding.rule.severity])
        if reason := _reason(finding):
            reasons.append(reason)
    if n_bad > max_quarantined_fraction * n_rows or n_bad == n_rows:
        verdicts.add("refused")
        reasons.append(
            f"refused: {n_bad} of {n_rows} rows belong in quarantine, "
            f"more than quality.max_quarantined_fraction = {max_quarantined_fraction:g} allows"
            if n_bad < n_rows
            else f"refused: all {n_rows} rows belong in quarantine"
        )
    outcome: Outcome
    outcome = "refused" if "refused" in verdicts else "warned" if "warned" in verdicts else "passed"
    return Verdict(
        outcome=outcome,
        reasons=tuple(reasons),
        expectations=tuple(_outcome(finding) for finding in findings),
        ran_by=tuple(finding.engine for finding in findings),
    )


def exempted(finding: Finding, n_exempt: int, *, n_rows: int, n_considered: int) -> Finding:
    """Return a row-level finding without the rows that people released from it.

    Parameters
    ----------
    n_exempt : int
        Released rows among the unexpected ones.
    n_considered : int
        Rows that ``mostly`` is a share of: those that the expectation looks at.
    """
    if not n_exempt:
        return finding
    n_unexpected = finding.n_unexpected - n_exempt
    mostly = float(finding.rule.arguments.get("mostly", 1.0) or 1.0)
    is_met = finding.is_met or n_unexpected == 0 or 1 - n_unexpected / max(n_considered, 1) >= mostly
    observed = f"{n_unexpected} of {n_rows} rows unexpected, {n_exempt} more released"
    return replace(finding, is_met=is_met, n_unexpected=n_unexpected, observed=observed)


def refuse_unseen(columns: pa.Schema, n_rows: int, types: Mapping[str, ColumnType]) -> Verdict | None:
    """Return the verdict on a partition that no expectation can be held to; None if they can.

    Parameters
    ----------
    columns : pyarrow.Schema
        Of the raw table, perhaps without some columns.
    n_rows : int
        Of the partition.
    types : mapping of str to ColumnType
        The declared columns.

    Returns
    -------
    Verdict or None
        Refused, if the partition is empty or a column is missing or of another type.
    """
    reason = _misshape(columns, types)
    is_misshapen = reason is not None
    if reason is None and n_rows == 0:
        reason = "the partition is empty: the source has no rows of this day, or they have not come yet"
    if reason is None:
        return None
    return Verdict(outcome="refused", reasons=(f"refused: {reason}",), is_misshapen=is_misshapen)


def _misshape(columns: pa.Schema, types: Mapping[str, ColumnType]) -> str | None:
    declared = {**OWN_TYPES, **{name: ARROW_TYPES[kind] for name, kind in types.items()}}
    if missing := [name for name in declared if name not in columns.names]:
        return f"the raw table has no column {', '.join(map(repr, missing))}"
    wrong = [
        f"{name!r} is {columns.field(name).type}, declared as {kind}"
        for name, kind in declared.items()
        if columns.field(name).type != kind
    ]
    return f"the raw table has columns of another type: {'; '.join(wrong)}" if wrong else None


def _held_back(rule: str, n: int) -> str:
    if rule == "cast:record":
        return f"{_rows(n)} that can't be parsed"
    if rule.startswith("held("):
        return f"{_rows(n)} held, until somebody releases them"
    return f"{_rows(n)} of another type" if rule.startswith("cast:") else _rows(n)


def _reason(finding: Finding) -> str | None:
    rule = finding.rule
    if rule.severity == "info" or (finding.is_met and not finding.n_unexpected) or not finding.is_evaluated:
        return None
    if finding.is_met:
        return f"quarantine: {rule.title}: {finding.observed}" if rule.is_row_level else None
    observed = finding.observed if rule.is_row_level else f"observed {finding.observed}"
    bounds = ", ".join(f"{name}={value}" for name, value in rule.bounds.items())[:_MAX_BOUNDS_CHARS]
    return f"{_UNMET_IS[rule.severity]}: {rule.title}: {observed}{f' ({bounds})' if bounds else ''}"


def _outcome(finding: Finding) -> ExpectationOutcome:
    return ExpectationOutcome(
        name=finding.rule.name,
        column=finding.rule.column,
        severity=finding.rule.severity,
        is_met=finding.is_met,
        n_unexpected=finding.n_unexpected,
        observed=finding.observed,
        is_evaluated=finding.is_evaluated,
    )


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"
