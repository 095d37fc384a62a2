"""Records as the steps write them, and a world in which the Dags do their work at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fake_server import FakeAirflow

from pipelines.ledger.ledger import Ledger
from pipelines.records import (
    ChampionMove,
    DriftRecord,
    GateRecord,
    IngestionRecord,
    PerformanceRecord,
    ScoringRecord,
    ValidationRecord,
    partition_range,
)

CONFIRMED_NIGHT = "2013-06-25"


class World:
    """Airflow's Dags and all their steps: a range of nights becomes runs and decisions of record.

    A ``stirring`` world confirms a drift in one night, and a retraining follows; a ``calm`` one does
    not; in a ``barren`` one the first model does not become champion.
    """

    def __init__(self, fake: FakeAirflow, ledger: Ledger, *, kind: str) -> None:
        self.fake = fake
        self.ledger = ledger
        self.kind = kind

    def live_through(self, first: str, last: str) -> None:
        """Take in a range, score its last night, and follow what comes of it."""
        for key in partition_range(first, last):
            self.ledger.record(ingestion(key))
            self.ledger.record(validation(key))
        if self.ledger.champions.present("flights") is None:
            self.fake.add_run("score_flights", last)
            if self.kind == "barren":
                return
            self._promote("1", last)
        self._judge(last)

    def _judge(self, key: str) -> None:
        champion = self.ledger.champions.present("flights")
        assert champion is not None
        version = champion.model_version
        is_confirmed = key == CONFIRMED_NIGHT and self.kind == "stirring"
        self.ledger.record(scoring(key, version))
        self.ledger.record(performance(key, version))
        self.ledger.record(drift(key, version, is_confirmed=is_confirmed))
        for verb in ("score", "monitor", "retrain"):
            self.fake.add_run(f"{verb}_flights", key)
        if is_confirmed and self.ledger.retraining("flights", key) is None:
            self.ledger.open_retraining("flights", key, status="requested", reason="data drift")
            self._promote("2", key)
            self.ledger.update_retraining("flights", key, status="promoted", model_version="2")
            self._judge(key)

    def _promote(self, version: str, key: str) -> None:
        self.fake.add_run("train_flights", key)
        self.ledger.record(gate(key, version))
        self.ledger.champions.move(move(int(version), version, key))
        self.fake.add_run("promote_flights", key)


def ingestion(key: str) -> IngestionRecord:
    return IngestionRecord(dataset="flights", partition_key=key, source_uri="s", raw_digest=key, n_rows=900)


def validation(key: str, **fields: Any) -> ValidationRecord:
    counts = {"n_in": 900, "n_published": 897, "n_quarantined": 3}
    return ValidationRecord(
        **({"dataset": "flights", "partition_key": key, "raw_digest": key, "suite_digest": "s"} | counts),
        **({"outcome": "passed"} | fields),
    )


def scoring(key: str, version: str) -> ScoringRecord:
    digests = dict.fromkeys(
        ("bundle_digest", "validated_digest", "features_digest", "predictions_digest"), version
    )
    return ScoringRecord(
        dataset="flights", partition_key=key, model_version=version, n_rows=897, device="cpu", **digests
    )


def performance(key: str, version: str, **metrics: float) -> PerformanceRecord:
    return PerformanceRecord(
        dataset="flights",
        partition_key=key,
        model_version=version,
        known_at=key,
        labels_digest="l",
        predictions_digest="p",
        n_rows=897,
        metrics=metrics or {"auc": 0.7125},
    )


def drift(key: str, version: str, *, is_confirmed: bool = False, is_alarm: bool = False) -> DriftRecord:
    is_alarm = is_alarm or is_confirmed
    return DriftRecord(
        dataset="flights",
        partition_key=key,
        model_version=version,
        window=(key, key),
        columns=(),
        kinds=("data", "concept") if is_alarm else (),
        is_alarm=is_alarm,
        is_confirmed=is_confirmed,
        n_alarm_nights=2 if is_confirmed else 0,
        severity="warning" if is_alarm else "none",
        action="retrain" if is_alarm else "none",
    )


def gate(key: str, version: str) -> GateRecord:
    return GateRecord(
        dataset="flights",
        partition_key=key,
        model_version=version,
        bundle_digest="b",
        champion_version=None,
        champion_sequence=0,
        metric="auc",
        challenger_value=0.75,
        champion_value=None,
        gates=(),
        is_passed=True,
    )


def move(sequence: int, version: str, key: str) -> ChampionMove:
    return ChampionMove(
        dataset="flights",
        sequence=sequence,
        model_version=version,
        previous_version=None if sequence == 1 else str(sequence - 1),
        action="promote",
        actor="gates",
        reason="AUC 0.75 over 0.70",
        evidence_digest="e",
        partition_key=key,
        moved_at=datetime.now(UTC),
    )
