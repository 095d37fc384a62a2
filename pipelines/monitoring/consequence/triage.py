"""What a night's drift means, and what is to be done about it.

A changed column costs a page only if the model is worse for it: measured on labels that are in, or estimated
beyond doubt. A fault of the data goes to a person, whatever it costs: a model retrained on it would learn it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.config import DatasetConfig
from pipelines.metrics import primary_metric
from pipelines.monitoring.consequence.triage_sentences import (
    bug_sentences,
    column_sentences,
    concept_sentence,
    doubted_sentence,
    estimate_sentence,
    record_sentence,
)
from pipelines.monitoring.performance.concept import matters
from pipelines.monitoring.performance.estimation import loss_of
from pipelines.monitoring.significance.findings import Findings
from pipelines.records import (
    ColumnDrift,
    ConceptDrift,
    DataBug,
    DriftKind,
    PerformanceEstimate,
    Severity,
)

# So many times the loss that matters is sure even at the good end of the interval: it pages at once.
_EXTREME = 3.0
# Labels as young as this say within a night or two what an estimate only supposes.
_FRESH_DAYS = 2
# Labels speak against an estimate if they show less than this share of the loss that it expects.
_SHOWN_SHARE = 0.5


@dataclass(frozen=True)
class Triage:
    """What is to be done about a night.

    Parameters
    ----------
    action : str
        ``none``, ``record`` (real, and no loss is known), ``retrain`` (a loss that a new model may mend) or
        ``investigate`` (a fault of the data).
    severity : str
        What persistence counts by: ``critical`` acts at once.
    is_page : bool
        Whether it is worth waking someone, once confirmed.
    expected_loss : float or None
        Of the primary metric, in its units: as measured where there are labels, else as estimated.
    kinds : tuple of str
        Which of the four drifts there are.
    reasons : tuple of str
        Sentences for a person, the most important first.
    columns : tuple of ColumnDrift
        All that is watched of the features, with importance and impact; what drifted first, by impact.
    """

    action: Literal["none", "record", "retrain", "investigate"]
    severity: Severity
    is_page: bool
    expected_loss: float | None
    kinds: tuple[DriftKind, ...]
    reasons: tuple[str, ...]
    columns: tuple[ColumnDrift, ...]


def triage(
    findings: Findings,
    *,
    concept: ConceptDrift | None,
    estimate: PerformanceEstimate | None,
    bugs: Sequence[DataBug],
    importances: Mapping[str, float],
    config: DatasetConfig,
) -> Triage:
    """Decide what a night's findings mean.

    Parameters
    ----------
    findings : Findings
        What drifted.
    concept : ConceptDrift or None
        The primary metric on mature labels; None where there are none.
    estimate : PerformanceEstimate or None
        The primary metric without labels. It counts only beside a drift of data or predictions: where
        neither moved, an estimate that did is luck.
    bugs : sequence of DataBug
        Faults that explain what some columns look like.
    importances : mapping of str to float
        The share of the champion's skill that rests on each feature; empty if it is not known.
    """
    columns = rank_columns(findings.columns, importances)
    has_concept = concept is not None and concept.is_drifted
    kinds: tuple[DriftKind, ...] = (*findings.kinds, *(("concept",) if has_concept else ()))
    moved = column_sentences(columns, findings)
    loss = _expected_loss(concept, estimate)

    def decided(
        action: Literal["none", "record", "retrain", "investigate"], severity: Severity, *reasons: str
    ) -> Triage:
        is_page = action in ("retrain", "investigate")
        return Triage(action, severity, is_page, loss, kinds, (*reasons, *moved), columns)

    if bugs:
        return decided("investigate", "critical", *bug_sentences(bugs))
    if concept is not None and concept.is_drifted:
        return decided("retrain", concept.severity, concept_sentence(concept))
    if estimate is not None and estimate.is_worse and {"data", "prediction"} & set(kinds):
        sentence = estimate_sentence(estimate)
        is_extreme = _loss_at_best(estimate, config) >= _EXTREME * matters(config, estimate.reference_value)
        if is_extreme and findings.severity == "critical":
            return decided("retrain", "critical", sentence)
        if not _labels_disagree(concept, estimate, config):
            return decided("retrain", "warning", sentence)
        return decided("record", findings.severity, doubted_sentence(concept, estimate))
    if findings.is_alarm:
        return decided("record", findings.severity, record_sentence(concept, estimate))
    return decided("none", "none")


def rank_columns(columns: Sequence[ColumnDrift], importances: Mapping[str, float]) -> tuple[ColumnDrift, ...]:
    """Return what is watched with its importance and its impact: what drifted first, the gravest first."""
    known = [
        column.model_copy(
            update={
                "importance": importances.get(column.column, 0.0),
                "impact": importances.get(column.column, 0.0) * abs(column.distance),
            }
        )
        for column in columns
    ]
    excess = {id(column): column.distance / max(column.threshold, 1e-9) for column in known}
    return tuple(
        sorted(known, key=lambda column: (column.is_drifted, column.impact, excess[id(column)]), reverse=True)
    )


def _expected_loss(concept: ConceptDrift | None, estimate: PerformanceEstimate | None) -> float | None:
    if concept is not None and concept.is_drifted:
        return concept.loss
    if estimate is not None:
        return estimate.expected_loss
    return None if concept is None else concept.loss


def _loss_at_best(estimate: PerformanceEstimate, config: DatasetConfig) -> float:
    """Return the loss at the good end of the interval."""
    best = estimate.upper if primary_metric(config.task).greater_is_better else estimate.lower
    return loss_of(best, estimate.reference_value, config.task)


def _labels_disagree(
    concept: ConceptDrift | None, estimate: PerformanceEstimate, config: DatasetConfig
) -> bool:
    """Return whether labels that are nearly as young as the night show nothing of an estimated loss."""
    if concept is None or config.maturity_days > _FRESH_DAYS:
        return False
    return concept.loss < _SHOWN_SHARE * estimate.expected_loss
