"""The toy world with two champions: what v1 learned from is like the nights, what v2 learned from is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shadowed_nights
import toy_world
from toy_world import DATASET

from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.steps.register import register
from pipelines.storage.lake import PARTITION_COLUMN

#: Of ``x``; the nights' own is 0.
MEANS = {"1": 0.0, "2": -1.5}
_MODELS = {"1": toy_world.WEAK, "2": toy_world.STRONG}
_DAYS = partition_range("2012-11-01", "2012-12-20")
_FIRST_OF_HOLDOUT = "2012-12-06"
_PER_DAY = 60


def open_world(root: Path) -> Runtime:
    """Return a world in which v1 was champion, then v2, each with reference rows of its own."""
    world = toy_world.open_world(root, "published")
    for version in MEANS:
        outputs = root / f"v{version}" / "outputs"
        described = toy_world.describe(world, outputs, _MODELS[version])
        pq.write_table(_reference(version), outputs / "reference.parquet")
        files = toy_world.lineage_files(world, outputs.parent)
        trained = world.registry.log_training(described, outputs=outputs, params={}, tags={}, files=files)
        assert register(trained, runtime=world).model_version == version
    shadowed_nights.crown(world, "1", "2")
    return world


def publish_drifting(world: Runtime, nights: Sequence[str]) -> None:
    """Publish nights whose ``x`` is greater from night to night: a fault would come at once."""
    toy_world.publish(world, nights)
    for n, night in enumerate(nights, start=1):
        rows = world.lake.read(DATASET, "validated", partitions=[night]).drop_columns([PARTITION_COLUMN])
        risen = rows.set_column(rows.column_names.index("x"), "x", pc.add(rows["x"], 0.2 * n))
        written = world.lake.replace(DATASET, "validated", night, risen)
        world.ledger.record(toy_world.validation_of(night, written.digest))


def _reference(version: str) -> pa.Table:
    """Return what a version learned from, and what it gave for it."""
    random = np.random.default_rng(int(version))
    model, n = _MODELS[version], len(_DAYS) * _PER_DAY
    keys = np.repeat(_DAYS, _PER_DAY)
    x = random.normal(MEANS[version], size=n)
    y = (random.random(n) < 1 / (1 + np.exp(-2 * x))).astype(float)
    total = np.sum([np.where(x <= at, -model.height, model.height) for at in model.thresholds], axis=0)
    of_day = y.reshape(len(_DAYS), _PER_DAY).mean(axis=1)
    return pa.table(
        {
            "row_id": [f"{key}|{number:05}" for number, key in enumerate(keys)],
            "partition_key": keys,
            "event_time": pa.array(keys.astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
            "x": x,
            "late_rate_1d": np.repeat(np.roll(of_day, 1), _PER_DAY),
            "site": np.tile(["north", "south"], n // 2),
            "prediction": 1 / (1 + np.exp(-total)),
            "y": y,
            "is_holdout": keys >= _FIRST_OF_HOLDOUT,
        }
    )
