"""A night's verdict in sentences that a person understands at three in the morning."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.metrics import metric_name
from pipelines.monitoring.significance.findings import Findings
from pipelines.records import ColumnDrift, ConceptDrift, DataBug, PerformanceEstimate

_N_NAMED = 5
_UNITS = {
    "wasserstein": "moved by {0:.2g} standard deviations (what matters is {1:.2g})",
    "jensenshannon": "has another mix of levels (Jensen-Shannon distance {0:.2g}, what matters is {1:.2g})",
    "missing_share": "has another share of nulls, by {0:.1%} of the rows (what matters is {1:.1%})",
    "new_levels": "has levels never seen before in {0:.1%} more of the rows (what matters is {1:.1%})",
}


def bug_sentences(bugs: Sequence[DataBug]) -> list[str]:
    """Say what went wrong with the data, and what to do about it."""
    named = [bug.explanation for bug in bugs[:_N_NAMED]]
    more = [f"{len(bugs) - _N_NAMED} more columns look faulty."] if len(bugs) > _N_NAMED else []
    first = min(bug.first_partition for bug in bugs)
    advice = (
        "This looks like a fault of the data, not a changed world: look at the source, hold the nights since "
        f"{first} in quarantine, and ingest them again once it is mended. A retraining would learn the fault."
    )
    return [*named, *more, advice]


def concept_sentence(concept: ConceptDrift) -> str:
    """Say what the labels show."""
    days = "1 day" if concept.n_days == 1 else f"{concept.n_days} days"
    return (
        f"Measured on {concept.n_rows} labels of {days} up to {concept.last_partition}, "
        f"{metric_name(concept.metric)} is {concept.value:.3f} against "
        f"{concept.reference_value:.3f} on the holdout: worse by {concept.loss:.3f} "
        f"(p {concept.p_value:.1g})."
    )


def estimate_sentence(estimate: PerformanceEstimate) -> str:
    """Say what is expected without labels."""
    return (
        f"Without waiting for labels, {metric_name(estimate.metric)} is estimated at {estimate.value:.3f} "
        f"({estimate.confidence:.0%} interval {estimate.lower:.3f} to {estimate.upper:.3f}) against "
        f"{estimate.reference_value:.3f} on the holdout: worse by {estimate.expected_loss:.3f}."
    )


def doubted_sentence(concept: ConceptDrift | None, estimate: PerformanceEstimate) -> str:
    """Say that the labels do not bear an estimate out."""
    shown = (
        "" if concept is None else f" The labels up to {concept.last_partition} do not show that: a loss of "
    )
    return estimate_sentence(estimate) + (f"{shown}{concept.loss:.3f}." if concept else "")


def record_sentence(concept: ConceptDrift | None, estimate: PerformanceEstimate | None) -> str:
    """Say why a drift is put on record only."""
    if concept is not None:
        return (
            f"The drift is real, but the model is no worse for it: "
            f"{metric_name(concept.metric)} on labels up to {concept.last_partition} is "
            f"{concept.value:.3f} against {concept.reference_value:.3f} on the holdout."
        )
    if estimate is not None:
        return (
            f"The drift is real, but no loss is expected beyond doubt: "
            f"{metric_name(estimate.metric)} is estimated at {estimate.value:.3f} ({estimate.lower:.3f} to "
            f"{estimate.upper:.3f}) against {estimate.reference_value:.3f} on the holdout. "
            "No labels are in yet."
        )
    return "The drift is real. There are no labels and no estimate, so what it costs is not known."


def column_sentences(columns: Sequence[ColumnDrift], findings: Findings) -> list[str]:
    """Say what moved, the gravest first; ``columns`` are ranked."""
    drifted = [column for column in columns if column.is_drifted]
    named = [_column_sentence(column) for column in drifted[:_N_NAMED]]
    if len(drifted) > _N_NAMED:
        named.append(f"{len(drifted) - _N_NAMED} more columns or parts of them drifted.")
    if findings.joint is not None and findings.joint.is_drifted:
        auc = 0.5 + findings.joint.distance
        named.append(f"All columns together tell these nights from the reference with an AUC of {auc:.2f}.")
    if findings.prediction is not None and findings.prediction.is_drifted:
        named.append("The model's predictions differ from those on the holdout.")
    if findings.label is not None and findings.label.is_drifted:
        named.append("The labels that are in differ from those of the reference.")
    return named


def _column_sentence(column: ColumnDrift) -> str:
    moved = _UNITS.get(column.method, "moved by {0:.2g} (what matters is {1:.2g})")
    text = f"{column.column} {moved.format(column.distance, column.threshold)}"
    levels = [level for level in column.levels if level.level is not None][:2]
    if levels:
        text += ": " + ", ".join(
            f"{_short(str(level.level))} {level.reference_share:.1%} -> {level.current_share:.1%}"
            for level in levels
        )
    return (
        f"{text}. {column.importance:.0%} of the model's skill rests on it."
        if column.importance
        else f"{text}."
    )


def _short(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}...")
