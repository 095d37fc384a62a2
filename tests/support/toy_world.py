"""A whole small world: a dataset of one number and one category, real stores, and tiny real models.

The number ``x`` raises the chance of ``y``. A model is a sum of stumps over ``x``: the more
thresholds, the better it ranks; with a negative ``height`` it ranks backwards.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from pipelines.bundle.description import BundleDescription, TrainingNotes, TreesArchitecture
from pipelines.bundle.files import write_bundle
from pipelines.config import Params, load_settings
from pipelines.features.encoding import CategoricalColumn, Encoding, NumericColumn
from pipelines.features.query import load_features
from pipelines.monitoring.reference_sketch import ReferenceSketch
from pipelines.monitoring.sketch import learn_grid, sketch_days
from pipelines.records import (
    TrainedModel,
    TrainingRecord,
    ValidationRecord,
    digest_of,
    partition_date,
    partition_range,
)
from pipelines.registry.engine import open_client
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.training.environment import environment_digest
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot
from pipelines.validation.reference import learn

DATASET = "toy"
FIRST, LAST_LABELLED, NIGHT = "2013-01-01", "2013-01-20", "2013-01-21"
ENVIRONMENT = "# CPython 3.11\nnumpy==2.4.6\n"
HONEST_SQL = """
SELECT e.row_id, e.x, e.site, avg(l.y) AS late_rate_1d
FROM events e LEFT JOIN labels l ON l.partition_date = e.partition_date - 1
GROUP BY e.row_id, e.x, e.site
"""
LEAKING_SQL = """
SELECT e.row_id, e.x, e.site, avg(l.y) AS late_rate_1d
FROM events e LEFT JOIN labels l ON l.partition_date >= e.partition_date - 1
GROUP BY e.row_id, e.x, e.site
"""
_ROWS_A_DAY = 60


class Stumps(NamedTuple):
    """A model to be made: one stump a threshold, each adding ``height`` above it, else taking it away."""

    thresholds: tuple[float, ...]
    height: float = 0.5
    task: str = "binary"
    # How far the golden predictions are from what the stumps give.
    golden_error: float = 0.0


WEAK, STRONG = Stumps((1.5,)), Stumps((-1.0, 0.0, 1.0))
STRONGER = Stumps(tuple(quarter / 4 for quarter in range(-8, 9)))


def config(**overrides: Any) -> dict[str, Any]:
    """Return the dataset's configuration as ``params.yaml`` would hold it."""
    plain: dict[str, Any] = {
        "description": "Does y happen?",
        "task": "binary",
        "source": {"kind": "csv", "tables": {"rows": "toy.csv"}},
        "key": ["id"],
        "event_time": "at",
        "columns": {"id": "integer", "at": "timestamp", "x": "float", "site": "string"},
        "target": "y",
        "labels": {"y": "integer"},
        "features": {
            "sql": "toy.sql",
            "history_days": 2,
            "numeric": ["x", "late_rate_1d"],
            "categorical": ["site"],
        },
        "training": {"holdout_days": 5, "min_days": 7},
        # Stumps say little of chances, and a process for each would take long.
        "promotion": {
            "max_calibration_error": 10.0,
            "max_load_seconds": None,
            "max_load_megabytes": None,
            **overrides.pop("promotion", {}),
        },
    }
    return {**plain, **overrides}


def open_world(root: Path, stage: str = "published", *, sql: str = HONEST_SQL, **overrides: Any) -> Runtime:
    """Return a Runtime on the toy dataset, all state below ``root``; again for the same state.

    Parameters
    ----------
    stage : {"empty", "published", "rivals", "champions"}
        What there is to start with: MLflow's tables; also every labelled day, published; also v1
        (weak) and v2 (strong), registered; also both promoted, one after the other. Each stage is made
        once a session, and copied.
    """
    project = root / "project"
    if not project.exists():
        _copy(_template(stage), root)
    (project / "toy.sql").write_text(sql)
    places = {"HOME": root / "home", "PROJECT": project, "DEVICE": "cpu"}
    settings = load_settings({f"HOLDFAST_{name}": str(value) for name, value in places.items()})
    params = Params.model_validate({"datasets": {DATASET: config(**overrides)}})
    return Runtime(settings=settings, params=params)


@functools.cache
def _template(stage: str) -> Path:
    root = Path(tempfile.mkdtemp(prefix=f"holdfast-{stage}-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    if stage == "empty":
        (root / "project").mkdir()
        database = root / "home" / "mlflow" / "mlflow.db"
        open_client(f"sqlite:///{database}", root / "home")
        return root
    before = {"published": "empty", "rivals": "published", "champions": "rivals"}[stage]
    runtime = open_world(root, before)
    if stage == "published":
        publish(runtime, all_days())
    elif stage == "rivals":
        challenge(runtime, root / "weak", WEAK)
        challenge(runtime, root / "strong", STRONG)
    else:
        crown(runtime, "1")
        crown(runtime, "2")
    return root


def _copy(template: Path, root: Path) -> None:
    """Copy a world, and have MLflow look for its artifacts in the copy."""
    shutil.copytree(template, root, dirs_exist_ok=True)
    with closing(sqlite3.connect(root / "home" / "mlflow" / "mlflow.db")) as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(change, (template.as_uri(), root.as_uri()))
        database.commit()


def publish(runtime: Runtime, days: Sequence[str]) -> None:
    """Land days of events and labels as published."""
    events, labels = {day: _events(day) for day in days}, {day: _labels(day) for day in days}
    versions = runtime.lake.replace_many(DATASET, "validated", events)
    runtime.lake.replace_many(DATASET, "labels", labels)
    for version in versions:
        runtime.ledger.record(validation_of(version.partition_key, version.digest))


def validation_of(day: str, digest: str, outcome: str = "passed") -> ValidationRecord:
    """Return the verdict on one day."""
    return ValidationRecord.model_validate(
        {
            "dataset": DATASET,
            "partition_key": day,
            "raw_digest": digest,
            "suite_digest": "suite",
            "outcome": outcome,
            "n_in": _ROWS_A_DAY,
            "n_published": _ROWS_A_DAY,
            "n_quarantined": 0,
            "validated_digest": None if outcome == "refused" else digest,
        }
    )


def snapshot_of(runtime: Runtime, last: str = LAST_LABELLED) -> Snapshot:
    """Return the plan of a training on all published days up to ``last``."""
    return plan_snapshot(
        DATASET,
        last,
        first=None,
        config=runtime.dataset(DATASET),
        lake=runtime.lake,
        ledger=runtime.ledger,
    )


def train(runtime: Runtime, outputs: Path, model: Stumps = STRONG, **changes: Any) -> TrainedModel:
    """Make a model and log it as a finished training; ``changes`` are fields of its record."""
    described = describe(runtime, outputs, model, **changes)
    return runtime.registry.log_training(
        described,
        outputs=outputs,
        params={"candidate": described.candidate, "n_stumps": str(len(model.thresholds))},
        tags={"holdfast.reason": described.reason},
        files=lineage_files(runtime, outputs.parent),
    )


def describe(runtime: Runtime, outputs: Path, model: Stumps = STRONG, **changes: Any) -> TrainedModel:
    """Write a training's outputs, and return its record, not logged yet."""
    digest = write_outputs(outputs, model)
    snapshot = snapshot_of(runtime)
    days = snapshot.training_days
    pq.write_table(reference_rows(runtime, days), outputs / "reference.parquet")
    plain = {
        "dataset": DATASET,
        "partition_key": NIGHT,
        "training_key": digest_of([snapshot.digest, model]),
        "mlflow_run_id": "",
        "bundle_digest": digest,
        "candidate": "stumps",
        "first_partition": days[0],
        "last_partition": days[-1],
        "holdout_first": days[-runtime.dataset(DATASET).training.holdout_days],
        "snapshot_digest": snapshot.digest,
        "n_partitions": len(days),
        "n_rows": len(days) * _ROWS_A_DAY,
        "code_commit": "c0ffee",
        "is_dirty": False,
        "config_digest": digest_of(runtime.dataset(DATASET).model_dump(mode="json")),
        "environment_digest": environment_digest(ENVIRONMENT),
        "metrics": {"auc": 0.7},
        "reason": "drift of x",
    }
    return TrainedModel.model_validate({**plain, **changes})


def reference_rows(runtime: Runtime, days: Sequence[str]) -> pa.Table:
    """Return the rows of some days as a training has them: features of all days at once, and the target."""
    config, lake = runtime.dataset(DATASET), runtime.lake
    rows = load_features(
        lake, DATASET, config=config, project=runtime.settings.project, partitions=list(days)
    )
    labels = lake.read(DATASET, "labels", partitions=days)
    target = labels["y"].take(pc.index_in(rows["row_id"], labels["row_id"])).cast(pa.float64())
    return rows.append_column("y", target).append_column("prediction", pa.repeat(0.5, rows.num_rows))


def lineage_files(runtime: Runtime, folder: Path) -> list[Path]:
    """Write what a training leaves beside its model."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "snapshot.json": snapshot_of(runtime).model_dump_json(),
        "params.yaml": yaml.safe_dump(runtime.params.model_dump(mode="json")),
        "environment.txt": ENVIRONMENT,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def write_outputs(folder: Path, model: Stumps) -> str:
    """Write bundle, reference rows and metrics; return the bundle's digest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({"auc": 0.7}))
    pq.write_table(pa.table({"row_id": ["a"], "x": [0.5], "prediction": [0.5]}), folder / "reference.parquet")
    seen = pa.table({"partition_key": [FIRST], "x": [0.5]})
    days = sketch_days(seen, learn_grid(seen, numeric=["x"], categorical=[]))
    (folder / "reference.sketch").write_bytes(ReferenceSketch(days, days).to_bytes())
    profile = learn({"raw": seen, "features": seen})
    (folder / "reference_profile.json").write_text(profile.model_dump_json())
    return write_bundle(folder / "bundle", *stump_bundle(model))


def challenge(runtime: Runtime, folder: Path, model: Stumps = STRONG, **changes: Any) -> str:
    """Train and register a model in ``folder``; return its version."""
    trained = train(runtime, folder / "outputs", model, **changes)
    return register(trained, runtime=runtime).model_version


def crown(runtime: Runtime, model_version: str) -> str:
    """Gate and promote a version, which must pass; return it."""
    gate(DATASET, model_version, runtime=runtime)
    decision = promote(DATASET, model_version, runtime=runtime, actor="test")
    assert decision.is_promoted, decision.reason
    return model_version


def found_again(runtime: Runtime, model_version: str, night: str) -> TrainingRecord:
    """Register a version's training once more, as another night does that finds it done."""
    trained = runtime.registry.training_of(DATASET, model_version)
    return register(trained.model_copy(update={"partition_key": night}), runtime=runtime)


def all_days() -> list[str]:
    """Return the days that are labelled at the night."""
    return partition_range(FIRST, LAST_LABELLED)


def _events(day: str) -> pa.Table:
    midnight = datetime.combine(partition_date(day), datetime.min.time(), tzinfo=UTC)
    return pa.table(
        {
            "row_id": _row_ids(day),
            "event_time": pa.array([midnight] * _ROWS_A_DAY, pa.timestamp("us", tz="UTC")),
            "id": list(range(_ROWS_A_DAY)),
            "at": pa.array([midnight] * _ROWS_A_DAY, pa.timestamp("us", tz="UTC")),
            "x": _x(day),
            "site": ["north", "south"] * (_ROWS_A_DAY // 2),
        }
    )


def _labels(day: str) -> pa.Table:
    chance = 1 / (1 + np.exp(-2 * _x(day)))
    happened = np.random.default_rng(partition_date(day).toordinal() + 1).random(_ROWS_A_DAY) < chance
    return pa.table({"row_id": _row_ids(day), "y": happened.astype(np.int64)})


def _x(day: str) -> np.ndarray:
    return np.random.default_rng(partition_date(day).toordinal()).normal(size=_ROWS_A_DAY)


def _row_ids(day: str) -> list[str]:
    return [f"{day}|{n:03d}" for n in range(_ROWS_A_DAY)]


def stump_bundle(
    model: Stumps,
    *,
    numeric: Sequence[str] = ("x", "late_rate_1d"),
    categorical: str = "site",
    target: str = "y",
) -> tuple[BundleDescription, dict[str, Any], pa.Table]:
    """Return what :func:`write_bundle` takes: stumps over the first of the numeric columns."""
    thresholds, height = model.thresholds, model.height
    n_trees = len(thresholds)
    description = BundleDescription(
        candidate="stumps",
        task=model.task,
        target=target,
        encoding=Encoding(
            numeric=tuple(NumericColumn(name=name, mean=0.0, std=1.0) for name in numeric),
            categorical=(CategoricalColumn(name=categorical, levels=("north", "south")),),
        ),
        architecture=TreesArchitecture(
            n_trees=n_trees, n_nodes=3 * n_trees, n_category_splits=0, category_width=3
        ),
        training=TrainingNotes(
            library="none", seed=0, n_rows=1, n_valid_rows=1, n_rounds=n_trees, valid_loss=0.0
        ),
    )
    leaf, none = np.array([-1, -1]), np.zeros(2)
    tensors = {
        "baseline": np.zeros(1),
        "tree_start": np.arange(n_trees + 1, dtype=np.int64) * 3,
        "feature": np.tile([0, *leaf], n_trees).astype(np.int32),
        "threshold": np.concatenate([[t, *none] for t in thresholds]),
        "missing_left": np.zeros(3 * n_trees, dtype=np.uint8),
        "category_row": np.full(3 * n_trees, -1, dtype=np.int32),
        "right": np.tile([2, 0, 0], n_trees).astype(np.int32),
        "value": np.tile([0.0, -height, height], n_trees),
        "category_left": np.zeros((0, 3), dtype=np.uint8),
    }
    x = np.linspace(-2, 2, 20)
    total = np.sum([np.where(x <= t, -height, height) for t in thresholds], axis=0)
    predictions = 1 / (1 + np.exp(-total)) if model.task == "binary" else total
    golden = pa.table(
        {
            **dict.fromkeys(numeric, np.full(20, 0.5)),
            numeric[0]: x,
            categorical: ["north", "elsewhere"] * 10,
            "prediction": predictions + model.golden_error,
        }
    )
    return description, tensors, golden
