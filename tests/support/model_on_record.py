"""The champion of the watched month on record, with its gates and one row that it scored; without MLflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
from watched_world import CHANGED, DATASET, FIRST, LAST

from pipelines.records import GateRecord, GateResult, TrainedModel, TrainingRecord, digest_of, partition_range
from pipelines.runtime import Runtime
from pipelines.training.environment import environment_digest
from pipelines.training.snapshot import Snapshot, SnapshotDay

ENVIRONMENT = "# CPython 3.11\nnumpy==2.4.6\n"


def put_model_on_record(runtime: Runtime, row_id: str) -> None:
    """Record v3 and its evidence, keep what made it where passports look for it, and predict one row."""
    days = [
        SnapshotDay(partition_key=day, events_digest="v", labels_digest="l", n_rows=900, is_training=True)
        for day in partition_range(FIRST, CHANGED)
    ]
    snapshot = Snapshot(dataset=DATASET, first_partition=FIRST, last_partition=CHANGED, days=tuple(days))
    config = runtime.dataset(DATASET).model_dump(mode="json")
    runtime.ledger.record(
        TrainingRecord(
            dataset=DATASET, partition_key=FIRST, model_version="3", trained=_trained(snapshot, config)
        )
    )
    runtime.ledger.record(_gates())
    folder = runtime.settings.home / "models" / DATASET / "3" / "lineage"
    folder.mkdir(parents=True)
    (folder / "snapshot.txt").write_text(snapshot.model_dump_json())
    (folder / "configuration.txt").write_text(json.dumps(config))
    (folder / "environment.txt").write_text(ENVIRONMENT)
    moment = pa.array([datetime(2013, 7, 11, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
    row = {"row_id": [row_id], "event_time": moment, "prediction": [0.625], "model_version": ["3"]}
    runtime.lake.replace(DATASET, "predictions", LAST, pa.table(row))


def _trained(snapshot: Snapshot, config: dict[str, object]) -> TrainedModel:
    return TrainedModel(
        dataset=DATASET,
        partition_key=FIRST,
        training_key="k",
        mlflow_run_id="a-run",
        bundle_digest="b",
        candidate="stumps",
        first_partition=FIRST,
        last_partition=CHANGED,
        holdout_first=CHANGED,
        snapshot_digest=snapshot.digest,
        n_partitions=len(snapshot.days),
        n_rows=9_000,
        code_commit="c0ffee",
        is_dirty=False,
        config_digest=digest_of(config),
        environment_digest=environment_digest(ENVIRONMENT),
        metrics={"auc": 0.75},
        reason="</td><script>alert(1)</script>",
    )


def _gates() -> GateRecord:
    gate = GateResult(
        name="beats_champion",
        is_passed=True,
        observed="gain over none",
        required="any",
        details={"gain": 0.21, "columns": []},
    )
    return GateRecord(
        dataset=DATASET,
        partition_key=FIRST,
        model_version="3",
        bundle_digest="b",
        champion_version=None,
        champion_sequence=0,
        metric="auc",
        challenger_value=0.75,
        champion_value=None,
        gates=(gate,),
        is_passed=True,
    )
