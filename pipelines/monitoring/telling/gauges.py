"""The figures that a monitoring system watches: what each is called and means, and how records give it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from pipelines.ledger.figures import EpisodeFigures
from pipelines.records import (
    DriftKind,
    DriftRecord,
    EstimateScore,
    PerformanceRecord,
    ScoringRecord,
    Severity,
    ValidationRecord,
    now_utc,
    partition_date,
)

#: Every gauge, with its meaning. All but the first have the label ``dataset``.
GAUGES: Mapping[str, str] = {
    "holdfast_ledger_up": "Whether the ledger could be read at this scrape (1) or not (0).",
    "holdfast_champion_info": "1, with the champion's version in the label `version`.",
    "holdfast_nights": "Nights of the last 30 days by the outcome of their validation (label `outcome`).",
    "holdfast_night_rows": "Rows of the newest validated night: in, published, quarantined (label `stage`).",
    "holdfast_quarantine_ratio": "Share of the newest validated night's rows that is in quarantine.",
    "holdfast_scored_rows": "Rows of the newest scored night.",
    "holdfast_scoring_duration_seconds": "How long the scoring of the newest scored night took.",
    "holdfast_scored_age_seconds": "Time since the newest scored night was scored.",
    "holdfast_scored_night_timestamp_seconds": "The date of the newest scored night, as Unix time.",
    "holdfast_drift_severity": "Severity of the newest verdict: 0 none, 1 info, 2 warning, 3 critical.",
    "holdfast_drift_alarm": "Whether the newest verdict is an alarm.",
    "holdfast_drift_confirmed": "Whether that alarm is confirmed.",
    "holdfast_drift_kind": "Whether the newest verdict found this kind of drift (label `kind`).",
    "holdfast_drift_columns": "Columns that drifted, by the newest verdict.",
    "holdfast_drift_watched_columns": "Columns that the newest verdict judged.",
    "holdfast_drift_max_effect_ratio": "The largest distance of a drifted column, in effect floors.",
    "holdfast_data_bugs": "Columns that look like a fault of the data, by the newest verdict.",
    "holdfast_evidently_drifted_ratio": "Share of columns that drifted by Evidently's default rule.",
    "holdfast_evidently_alarm": "Whether Evidently's default rule would have raised its alarm.",
    "holdfast_performance_estimated": "The primary metric as estimated without labels (label `metric`).",
    "holdfast_performance_estimated_lower": "The lower end of that estimate's interval.",
    "holdfast_performance_estimated_upper": "The upper end of that estimate's interval.",
    "holdfast_performance_promised": "The primary metric that the model promised on its holdout.",
    "holdfast_performance_measured": "The primary metric of the newest night with mature labels.",
    "holdfast_expected_loss": "By how much the primary metric is expected to be worse than promised.",
    "holdfast_estimate_coverage_ratio": "Share of the last 90 days' estimates whose interval held the truth.",
    "holdfast_episodes_open": "Episodes that are open.",
    "holdfast_episodes_30_days": "Episodes that were opened in the last 30 days.",
    "holdfast_nights_to_detect": "Mean nights from an episode's first alarm to the one that confirmed it.",
    "holdfast_nights_to_repair": "Mean nights from an episode's opening to its end.",
    "holdfast_retrainings_30_days": "Retrainings of the last 30 days.",
    "holdfast_retraining_budget": "Retrainings that 30 days may have.",
    "holdfast_retraining_budget_left": "Retrainings that are left of the budget.",
    "holdfast_retraining_age_days": "Days since the newest retraining.",
    "holdfast_breaker_open": "Whether retraining is switched off until a person switches it on.",
    "holdfast_messages_unsent": "Messages to people that have not arrived.",
}

_SEVERITIES = get_args(Severity)
_OUTCOMES = ("passed", "warned", "refused")


@dataclass(frozen=True)
class Sample:
    """One value of one gauge."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def validation_samples(nights: Iterable[ValidationRecord]) -> Iterator[Sample]:
    """Give the outcomes of nights, and the rows of the newest one."""
    found = sorted(nights, key=lambda night: night.partition_key)
    counted = Counter[str](night.outcome for night in found)
    for outcome in _OUTCOMES:
        yield Sample("holdfast_nights", counted[outcome], {"outcome": outcome})
    if found:
        newest = found[-1]
        rows = {"in": newest.n_in, "published": newest.n_published, "quarantined": newest.n_quarantined}
        for stage, n_rows in rows.items():
            yield Sample("holdfast_night_rows", n_rows, {"stage": stage})
        yield Sample("holdfast_quarantine_ratio", newest.n_quarantined / newest.n_in if newest.n_in else 0.0)


def scoring_samples(record: ScoringRecord) -> Iterator[Sample]:
    """Give what is known of the newest scored night."""
    yield Sample("holdfast_scored_rows", record.n_rows)
    yield Sample("holdfast_scoring_duration_seconds", record.duration_seconds)
    yield Sample("holdfast_scored_age_seconds", (now_utc() - record.decided_at).total_seconds())
    midnight = partition_date(record.partition_key).toordinal() - _EPOCH_ORDINAL
    yield Sample("holdfast_scored_night_timestamp_seconds", midnight * 86_400.0)


def drift_samples(record: DriftRecord) -> Iterator[Sample]:
    """Give the newest verdict, ours and that of Evidently's default rule."""
    drifted = [column for column in record.columns if column.is_drifted]
    yield Sample("holdfast_drift_severity", _SEVERITIES.index(record.severity))
    yield Sample("holdfast_drift_alarm", record.is_alarm)
    yield Sample("holdfast_drift_confirmed", record.is_confirmed)
    for kind in get_args(DriftKind):
        yield Sample("holdfast_drift_kind", kind in record.kinds, {"kind": kind})
    yield Sample("holdfast_drift_columns", len({column.column for column in drifted}))
    yield Sample("holdfast_drift_watched_columns", len({column.column for column in record.columns}))
    effects = [column.distance / column.threshold for column in drifted if column.threshold]
    yield Sample("holdfast_drift_max_effect_ratio", max(effects, default=0.0))
    yield Sample("holdfast_data_bugs", len(record.bugs))
    if record.evidently_fraction is not None:
        yield Sample("holdfast_evidently_drifted_ratio", record.evidently_fraction)
        yield Sample("holdfast_evidently_alarm", bool(record.evidently_alarm))
    yield from _estimate_samples(record)


def _estimate_samples(record: DriftRecord) -> Iterator[Sample]:
    metrics = {found.metric for found in (record.estimate, record.concept) if found is not None}
    if record.estimate is not None:
        estimate, label = record.estimate, {"metric": record.estimate.metric}
        yield Sample("holdfast_performance_estimated", estimate.value, label)
        yield Sample("holdfast_performance_estimated_lower", estimate.lower, label)
        yield Sample("holdfast_performance_estimated_upper", estimate.upper, label)
    promise = record.concept or record.estimate
    if promise is not None:
        yield Sample("holdfast_performance_promised", promise.reference_value, {"metric": promise.metric})
    if record.expected_loss is not None and len(metrics) == 1:
        yield Sample("holdfast_expected_loss", record.expected_loss, {"metric": metrics.pop()})


def performance_samples(record: PerformanceRecord, metric: str) -> Iterator[Sample]:
    """Give the primary metric of a night with mature labels, where it is defined."""
    if metric in record.metrics:
        yield Sample("holdfast_performance_measured", record.metrics[metric], {"metric": metric})


def coverage_samples(scores: Iterable[EstimateScore]) -> Iterator[Sample]:
    """Give the share of estimates whose interval held the truth, where there are any."""
    covered = [score.is_covered for score in scores]
    if covered:
        yield Sample("holdfast_estimate_coverage_ratio", sum(covered) / len(covered))


def episode_samples(figures: EpisodeFigures) -> Iterator[Sample]:
    """Give what is known of incidents and retrainings; a mean of nothing is left out."""
    left = max(0, figures.budget - figures.n_retrainings_30_days)
    values: dict[str, float | None] = {
        "holdfast_episodes_open": figures.n_open,
        "holdfast_episodes_30_days": figures.n_last_30_days,
        "holdfast_nights_to_detect": figures.mean_nights_to_detect,
        "holdfast_nights_to_repair": figures.mean_nights_to_repair,
        "holdfast_retrainings_30_days": figures.n_retrainings_30_days,
        "holdfast_retraining_budget": figures.budget,
        "holdfast_retraining_budget_left": left,
        "holdfast_retraining_age_days": figures.days_since_retraining,
        "holdfast_breaker_open": figures.breaker is not None and figures.breaker.is_open,
    }
    yield from (Sample(name, value) for name, value in values.items() if value is not None)


_EPOCH_ORDINAL = partition_date("1970-01-01").toordinal()
