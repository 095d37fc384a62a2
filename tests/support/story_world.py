"""A table of 400 rows a day with a champion: nights whose features, or whose truth, change at will.

As in :mod:`toy_world`, ``x`` raises the chance of ``y`` and is all that the model looks at; ``z`` and
``site`` are columns that it is given and does not use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import toy_world

from pipelines.features.query import load_features
from pipelines.monitoring.reference_sketch import sketch_reference
from pipelines.records import ChampionMove, TrainingRecord, partition_date, partition_range, shift_partition
from pipelines.runtime import Runtime

DATASET = toy_world.DATASET
FIRST, LAST_LEARNED = "2012-12-16", toy_world.LAST_LABELLED
HOLDOUT_DAYS = 14
MODEL = toy_world.STRONGER
_SQL = """
SELECT e.row_id, e.x, e.z, e.site, avg(l.y) AS late_rate_1d
FROM events e LEFT JOIN labels l ON l.partition_date = e.partition_date - 1
GROUP BY e.row_id, e.x, e.z, e.site
"""
_ROWS_A_DAY = 400


@dataclass(frozen=True)
class World:
    """How a day comes about: ``skill`` is how much ``x`` tells of ``y``, ``z`` the mean of that column."""

    skill: float = 2.0
    z: float = 0.0
    south: float = 0.5


CALM = World()


def open_story(root: Path, **overrides: Any) -> Runtime:
    """Return a Runtime whose champion has learned five weeks of calm days."""
    numeric = ["x", "z", "late_rate_1d"]
    features = {"sql": "toy.sql", "history_days": 1, "numeric": numeric, "categorical": ["site"]}
    columns = {"id": "integer", "at": "timestamp", "x": "float", "z": "float", "site": "string"}
    plain = {"features": features, "columns": columns}
    runtime = toy_world.open_world(root, "empty", sql=_SQL, **(plain | overrides))
    days = partition_range(FIRST, LAST_LEARNED)
    for day in days:
        _publish(runtime, day, CALM)
        _label(runtime, day, CALM)
    outputs = root / "champion" / "outputs"
    described = toy_world.describe(runtime, outputs, MODEL)
    _write_reference(runtime, outputs, days)
    files = toy_world.lineage_files(runtime, outputs.parent)
    trained = runtime.registry.log_training(described, outputs=outputs, params={}, tags={}, files=files)
    training = {"dataset": DATASET, "partition_key": trained.partition_key, "trained": trained}
    runtime.ledger.record(TrainingRecord(model_version="1", **training))
    runtime.ledger.champions.move(_first_champion(trained.partition_key))
    return runtime


def land(runtime: Runtime, night: str, world: World = CALM, *, yesterday: World = CALM) -> None:
    """Publish a night's rows, and the labels of the day before."""
    _publish(runtime, night, world)
    _label(runtime, shift_partition(night, -1), yesterday)


def _publish(runtime: Runtime, day: str, world: World) -> None:
    random = np.random.default_rng(partition_date(day).toordinal())
    midnight = datetime.combine(partition_date(day), datetime.min.time(), tzinfo=UTC)
    at = pa.array([midnight] * _ROWS_A_DAY, pa.timestamp("us", tz="UTC"))
    rows = pa.table(
        {
            "row_id": _row_ids(day),
            "event_time": at,
            "id": list(range(_ROWS_A_DAY)),
            "at": at,
            "x": _x(day),
            "z": world.z + random.normal(size=_ROWS_A_DAY),
            "site": np.where(random.random(_ROWS_A_DAY) < world.south, "south", "north"),
        }
    )
    version = runtime.lake.replace(DATASET, "validated", day, rows)
    runtime.ledger.record(toy_world.validation_of(day, version.digest))


def _label(runtime: Runtime, day: str, world: World) -> None:
    chance = 1 / (1 + np.exp(-world.skill * _x(day)))
    random = np.random.default_rng(partition_date(day).toordinal() + 10**6)
    happened = (random.random(_ROWS_A_DAY) < chance).astype(np.int64)
    runtime.lake.replace(DATASET, "labels", day, pa.table({"row_id": _row_ids(day), "y": happened}))


def _x(day: str) -> np.ndarray:
    return np.random.default_rng(partition_date(day).toordinal() + 10**7).normal(size=_ROWS_A_DAY)


def _row_ids(day: str) -> list[str]:
    return [f"{day}|{number:03d}" for number in range(_ROWS_A_DAY)]


def _write_reference(runtime: Runtime, outputs: Path, days: list[str]) -> None:
    """Write what the model was made and judged on, in place of the toy world's single row."""
    config = runtime.dataset(DATASET)
    features = load_features(
        runtime.lake, DATASET, config=config, project=runtime.settings.project, partitions=days
    )
    labels = runtime.lake.read(DATASET, "labels", partitions=days)
    y = labels["y"].take(pc.index_in(features["row_id"], labels["row_id"])).cast(pa.float64())
    x = features["x"].to_numpy()
    log_odds = sum(np.where(x <= t, -MODEL.height, MODEL.height) for t in MODEL.thresholds)
    is_holdout = pc.greater(features["partition_key"], shift_partition(LAST_LEARNED, -HOLDOUT_DAYS))
    table = features.append_column("y", y).append_column("prediction", pa.array(1 / (1 + np.exp(-log_odds))))
    table = table.append_column("is_holdout", is_holdout)
    pq.write_table(table, outputs / "reference.parquet")
    sketch = sketch_reference(table, table.filter(is_holdout), config)
    (outputs / "reference.sketch").write_bytes(sketch.to_bytes())


def _first_champion(night: str) -> ChampionMove:
    return ChampionMove(
        dataset=DATASET,
        sequence=1,
        model_version="1",
        previous_version=None,
        action="promote",
        actor="test",
        reason="",
        evidence_digest="",
        partition_key=night,
        moved_at=datetime(2013, 1, 21, tzinfo=UTC),
    )
