"""What follows from the findings: which rows are published, which go to quarantine, what is refused.

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
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.records import ExpectationOutcome
from pipelines.storage.columns import ARROW_TYPES
from pipelines.validation.examination import Finding
from pipelines.validation.quarantine import Breach, miscast_breaches, quarantine_table
from pipelines.validation.rules import Severity

MISCAST_COLUMN = "miscast"
_MAX_BOUNDS_CHARS = 120
_UNMET_IS: Mapping[Severity, Literal["refused", "warned", "passed"]] = {
    "critical": "refused",
    "warning": "warned",
    "info": "passed",
}


@dataclass(frozen=True)
class Verdict:
    """The judgement on one partition.

    Parameters
    ----------
    published : pyarrow.Table or None, shape (n - q, k)
        The rows to publish, without the column ``miscast``; None where the partition is refused.
    quarantine : pyarrow.Table, shape (q, 3)
        The bad rows, with reasons; as :func:`~pipelines.validation.quarantine.quarantine_table`.
    reasons : tuple of str
        Why it is refused or warned, and what sent rows to quarantine; empty if all is well.
    is_misshapen : bool
        Whether it is refused because its columns are not those declared.
    """

    outcome: Literal["passed", "warned", "refused"]
    published: pa.Table | None
    quarantine: pa.Table
    reasons: tuple[str, ...]
    expectations: tuple[ExpectationOutcome, ...] = ()
    is_misshapen: bool = False


def judge(rows: pa.Table, findings: Sequence[Finding], *, max_quarantined_fraction: float) -> Verdict:
    """Return what follows from the findings on one partition.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        The raw partition: row key, event time, the declared columns, ``miscast``; ``n >= 1``.
    findings : sequence of Finding
        How each expectation of the suite did on these rows.
    max_quarantined_fraction : float
        From 0 to 1; a larger share of rows in quarantine refuses the partition.

    Returns
    -------
    Verdict
    """
    breaches = miscast_breaches(rows[MISCAST_COLUMN])
    reasons = _cast_reasons(breaches)
    verdicts = {"passed"}
    for finding in findings:
        if finding.rule.severity != "info":
            for row in finding.rows:
                breaches.setdefault(row, []).append(Breach(finding.rule.name, finding.rule.columns))
        if not finding.is_met:
            verdicts.add(_UNMET_IS[finding.rule.severity])
        if reason := _reason(finding):
            reasons.append(reason)
    n_rows, n_bad = rows.num_rows, len(breaches)
    if n_bad > max_quarantined_fraction * n_rows or n_bad == n_rows:
        verdicts.add("refused")
        reasons.append(
            f"refused: {n_bad} of {n_rows} rows belong in quarantine, "
            f"more than quality.max_quarantined_fraction = {max_quarantined_fraction:g} allows"
            if n_bad < n_rows
            else f"refused: all {n_rows} rows belong in quarantine"
        )
    outcome: Literal["passed", "warned", "refused"]
    outcome = "refused" if "refused" in verdicts else "warned" if "warned" in verdicts else "passed"
    bad = sorted(breaches)
    good = [row for row in range(n_rows) if row not in breaches]
    rows_in_quarantine = rows.take(pa.array(bad, pa.int64()))
    return Verdict(
        outcome=outcome,
        published=None if outcome == "refused" else rows.drop_columns([MISCAST_COLUMN]).take(good),
        quarantine=quarantine_table(rows_in_quarantine, [breaches[row] for row in bad]),
        reasons=tuple(reasons),
        expectations=tuple(_outcome(finding) for finding in findings),
    )


def refuse_unseen(rows: pa.Table, types: Mapping[str, ColumnType]) -> Verdict | None:
    """Return the verdict on a partition that no expectation can be held to; None if they can.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        The raw partition, perhaps of no rows, perhaps without some columns.
    types : mapping of str to ColumnType
        The declared columns.

    Returns
    -------
    Verdict or None
        Refused, if the partition is empty or a column is missing or of another type.
    """
    reason = _misshape(rows, types)
    is_misshapen = reason is not None
    if reason is None and rows.num_rows == 0:
        reason = "the partition is empty: the source has no rows of this day, or they have not come yet"
    if reason is None:
        return None
    return Verdict(
        outcome="refused",
        published=None,
        quarantine=quarantine_table(rows.slice(0, 0), []),
        reasons=(f"refused: {reason}",),
        is_misshapen=is_misshapen,
    )


def _misshape(rows: pa.Table, types: Mapping[str, ColumnType]) -> str | None:
    declared = {"row_id": pa.string(), "event_time": ARROW_TYPES["timestamp"], MISCAST_COLUMN: pa.string()}
    declared |= {name: ARROW_TYPES[kind] for name, kind in types.items()}
    if missing := [name for name in declared if name not in rows.column_names]:
        return f"the raw table has no column {', '.join(map(repr, missing))}"
    wrong = [
        f"{name!r} is {rows.schema.field(name).type}, declared as {kind}"
        for name, kind in declared.items()
        if rows.schema.field(name).type != kind
    ]
    return f"the raw table has columns of another type: {'; '.join(wrong)}" if wrong else None


def _cast_reasons(breaches: Mapping[int, Sequence[Breach]]) -> list[str]:
    times: dict[str, int] = {}
    for found in breaches.values():
        for breach in found:
            times[breach.rule] = times.get(breach.rule, 0) + 1
    return [f"quarantine: {rule}: {_rows(n)} of another type" for rule, n in sorted(times.items())]


def _reason(finding: Finding) -> str | None:
    rule = finding.rule
    if rule.severity == "info" or (finding.is_met and not finding.rows):
        return None
    if finding.is_met:
        return f"quarantine: {rule.title}: {finding.observed}"
    observed = finding.observed if rule.is_row_level else f"observed {finding.observed}"
    bounds = ", ".join(f"{name}={value}" for name, value in rule.bounds.items())[:_MAX_BOUNDS_CHARS]
    return f"{_UNMET_IS[rule.severity]}: {rule.title}: {observed}{f' ({bounds})' if bounds else ''}"


def _outcome(finding: Finding) -> ExpectationOutcome:
    return ExpectationOutcome(
        name=finding.rule.name,
        column=finding.rule.column,
        severity=finding.rule.severity,
        is_met=finding.is_met,
        n_unexpected=len(finding.rows),
        observed=finding.observed,
    )


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"
