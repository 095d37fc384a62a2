"""A ledger in which every figure that is exported has a value."""

from __future__ import annotations

from datetime import timedelta

from sample_drift import ESTIMATE

from pipelines.ledger.episodes import Incident
from pipelines.ledger.ledger import Ledger
from pipelines.records import (
    ChampionMove,
    ColumnDrift,
    DriftRecord,
    EstimateScore,
    Message,
    PerformanceRecord,
    ScoringRecord,
    ValidationRecord,
    now_utc,
    shift_partition,
)

DATASET, NIGHT = "flights", "2013-07-10"


def validation(night: str, outcome: str = "passed", n_quarantined: int = 50) -> ValidationRecord:
    return ValidationRecord(
        dataset=DATASET,
        partition_key=night,
        raw_digest="r",
        suite_digest="s",
        outcome=outcome,
        n_in=1_000,
        n_published=1_000 - n_quarantined,
        n_quarantined=n_quarantined,
    )


def scoring(night: str, n_rows: int = 950) -> ScoringRecord:
    return ScoringRecord(
        dataset=DATASET,
        partition_key=night,
        model_version="4",
        bundle_digest="b",
        validated_digest="v",
        features_digest="f",
        predictions_digest="p",
        n_rows=n_rows,
        device="cpu",
        duration_seconds=2.5,
        decided_at=now_utc() - timedelta(hours=3),
    )


def verdict(night: str) -> DriftRecord:
    temp = {"column": "temp", "q_value": 0.001, "is_drifted": True}
    columns = (
        ColumnDrift(**temp, method="wasserstein", distance=0.5, threshold=0.1),
        ColumnDrift(**temp, method="missing_share", distance=0.03, threshold=0.02),
        ColumnDrift(column="speed", method="wasserstein", distance=0.2, threshold=0.1, is_drifted=False),
    )
    return DriftRecord(
        dataset=DATASET,
        partition_key=night,
        model_version="4",
        window=(shift_partition(night, -6), night),
        columns=columns,
        estimate=ESTIMATE,
        kinds=("data", "prediction"),
        severity="warning",
        is_alarm=True,
        is_confirmed=True,
        n_alarm_nights=2,
        action="retrain",
        is_page=True,
        expected_loss=0.04,
        evidently_fraction=0.5,
        evidently_alarm=True,
    )


def measured(night: str, auc: float, *, is_mature: bool) -> PerformanceRecord:
    return PerformanceRecord(
        dataset=DATASET,
        partition_key=night,
        model_version="4",
        known_at=NIGHT,
        labels_digest="l",
        predictions_digest="p",
        n_rows=900,
        is_mature=is_mature,
        metrics={"auc": auc},
    )


def estimate_score(night: str, *, is_covered: bool) -> EstimateScore:
    return EstimateScore(
        dataset=DATASET,
        partition_key=night,
        model_version="4",
        estimate=ESTIMATE,
        actual_value=0.71,
        is_covered=is_covered,
        n_rows=900,
    )


def fill(ledger: Ledger) -> None:
    """Write a month of nights, an incident that is over, one that is open, and what followed."""
    for back in range(40):
        night = shift_partition(NIGHT, -back)
        ledger.record(validation(night, "warned" if back == 1 else "passed"))
        ledger.record(scoring(night))
    ledger.record(verdict(shift_partition(NIGHT, -1)))
    ledger.record(measured(shift_partition(NIGHT, -3), 0.69, is_mature=True))
    ledger.record(measured(shift_partition(NIGHT, -1), 0.5, is_mature=False))
    for back in range(10, 14):
        ledger.record(estimate_score(shift_partition(NIGHT, -back), is_covered=back != 10))
    stamp = now_utc()
    ledger.champions.move(
        ChampionMove(
            dataset=DATASET,
            sequence=1,
            model_version="4",
            previous_version=None,
            action="promote",
            actor="gates",
            reason="first",
            evidence_digest="e",
            partition_key="2013-06-01",
            moved_at=stamp,
        )
    )
    told = {"cause": "c", "consequence": "c", "next_step": "n", "model_version": "4"}
    incident = {"dataset": DATASET, "action": "retrain", "severity": "warning", "kinds": ("data",), **told}
    opened = ledger.episodes.open(Incident(partition_key="2013-06-20", first_alarm="2013-06-18", **incident))
    ledger.episodes.close(opened, night="2013-06-27", reason="calm")
    ledger.episodes.open(Incident(partition_key="2013-07-09", first_alarm="2013-07-08", **incident))
    ledger.open_retraining(DATASET, "2013-06-20", status="requested", reason="drift")
    ledger.update_retraining(DATASET, "2013-06-20", status="promoted")
    message = {"key": "k", "dataset": DATASET, "partition_key": NIGHT, "severity": "info", "title": "t"}
    words = {"cause": "c", "consequence": "c", "next_step": "n", "link": "l"}
    ledger.outbox.put(Message.model_validate({**message, **words, "created_at": stamp}))
