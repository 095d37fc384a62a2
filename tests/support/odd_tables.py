"""Odd tables, published as they are, and a training of them in this process: no git, no DVC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from pipelines.bundle.files import bundle_digest
from pipelines.config import DatasetConfig, Params, TrainingRun, load_settings
from pipelines.records import TrainedModel, ValidationRecord, digest_of
from pipelines.runtime import Runtime
from pipelines.steps.register import register
from pipelines.steps.stages import STAGES, run_stage
from pipelines.storage.columns import ARROW_TYPES
from pipelines.training.planning import plan_snapshot

FIRST = date(2024, 3, 1)
ENVIRONMENT = "# CPython 3.11\n"


class OddTable(NamedTuple):
    """One table: its rows day by day, the last of them the night, and what its configuration says."""

    days: list[pd.DataFrame]
    entry: dict[str, Any]


def day(number: int) -> str:
    """Return the partition key of a day, counted from 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def odd_table(
    rows_of: Callable[[int], pd.DataFrame],
    n_days: int,
    *,
    numeric: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
    label: str = "integer",
    **entry: Any,
) -> OddTable:
    """Return a table whose day ``n`` is ``rows_of(n)``: its features, and the target ``y``."""
    columns = {"id": "integer"} | dict.fromkeys(numeric, "float") | dict.fromkeys(categorical, "string")
    training = {"holdout_days": 2, "min_days": 1, "max_iterations": 5, "max_epochs": 1}
    plain = {
        "description": "An odd table",
        "task": "binary",
        "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
        "key": ["id"],
        "columns": columns,
        "target": "y",
        "labels": {"y": label},
        "monitoring": {"window_days": 3},
        **entry,
        "event_time": None,
        "training": training | entry.get("training", {}),
    }
    return OddTable(
        [rows_of(number) for number in range(n_days)], plain | {"features": (numeric, categorical)}
    )


def open_odd_world(root: Path, tables: Mapping[str, OddTable]) -> Runtime:
    """Return a Runtime on odd tables: every day of them published, with its labels."""
    project = root / "project"
    project.mkdir(parents=True)
    datasets = {}
    for name, odd in tables.items():
        numeric, categorical = odd.entry["features"]
        (project / f"{name}.sql").write_text(
            f"SELECT {', '.join(['row_id', *numeric, *categorical])} FROM events"
        )
        features = {"sql": f"{name}.sql", "numeric": numeric, "categorical": categorical}
        datasets[name] = odd.entry | {"features": features}
    places = {"PROJECT": project, "HOME": root / "home", "DEVICE": "cpu"}
    settings = load_settings({f"HOLDFAST_{key}": str(value) for key, value in places.items()})
    runtime = Runtime(settings=settings, params=Params.model_validate({"datasets": datasets}))
    for name, odd in tables.items():
        for number, rows in enumerate(odd.days):
            _publish(name, day(number), rows, runtime)
    return runtime


def _publish(dataset: str, key: str, rows: pd.DataFrame, runtime: Runtime) -> None:
    config = runtime.dataset(dataset)
    keyed = rows.assign(id=np.arange(len(rows)))
    row_ids = pa.array([f"{key}|{number}" for number in range(len(rows))], pa.string())
    midnight = datetime.fromisoformat(key).replace(tzinfo=UTC)
    events = {name: _column(keyed, name, kind) for name, kind in config.columns.items()}
    times = pa.array([midnight] * len(rows), pa.timestamp("us", tz="UTC"))
    version = runtime.lake.replace(
        dataset, "validated", key, pa.table({"row_id": row_ids, "event_time": times, **events})
    )
    labels = {name: _column(keyed, name, kind) for name, kind in config.labels.items()}
    runtime.lake.replace(dataset, "labels", key, pa.table({"row_id": row_ids, **labels}))
    runtime.ledger.record(
        ValidationRecord(
            dataset=dataset,
            partition_key=key,
            raw_digest="raw",
            suite_digest="suite",
            outcome="passed",
            n_in=len(rows),
            n_published=len(rows),
            n_quarantined=0,
            validated_digest=version.digest,
        )
    )


def _column(rows: pd.DataFrame, name: str, kind: Any) -> pa.Array:
    return pa.array(rows[name].tolist(), ARROW_TYPES[kind], from_pandas=True)


def train_in_place(dataset: str, last: str, runtime: Runtime, root: Path) -> str:
    """Run the four stages on the days up to ``last``, and register the result; return its version."""
    config = runtime.dataset(dataset)
    snapshot = plan_snapshot(
        dataset, last, first=None, config=config, lake=runtime.lake, ledger=runtime.ledger
    )
    run = TrainingRun(
        dataset=dataset,
        first_partition=snapshot.first_partition,
        last_partition=last,
        holdout_days=config.training.holdout_days,
        snapshot_digest=snapshot.digest,
        seed=7,
    )
    inputs = root / "workspace" / "inputs"
    inputs.mkdir(parents=True)
    texts = {
        "snapshot.json": snapshot.model_dump_json(),
        "features.sql": (runtime.settings.project / config.features.sql).read_text(),
        "features_suite.yaml": "",
        "environment.txt": ENVIRONMENT,
    }
    for name, text in texts.items():
        (inputs / name).write_text(text)
    filled = runtime.params.model_copy(update={"run": run}).model_dump(mode="json")
    (root / "params.yaml").write_text(yaml.safe_dump(filled))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(runtime.settings.home))
        for stage in STAGES:
            run_stage(stage, root)
    return _register(dataset, config, snapshot, runtime, root)


def _register(dataset: str, config: DatasetConfig, snapshot: Any, runtime: Runtime, root: Path) -> str:
    outputs = root / "workspace" / "outputs"
    days = snapshot.training_days
    by_rows = config.training.split == "rows"
    trained = TrainedModel(
        dataset=dataset,
        partition_key=day(30),
        training_key=digest_of([dataset, snapshot.digest]),
        mlflow_run_id="",
        bundle_digest=bundle_digest(outputs / "bundle"),
        candidate="any",
        first_partition=days[0],
        last_partition=days[-1],
        holdout_first=days[0] if by_rows else days[-config.training.holdout_days],
        snapshot_digest=snapshot.digest,
        n_partitions=len(days),
        n_rows=1,
        code_commit="c0ffee",
        is_dirty=False,
        config_digest="config",
        environment_digest="environment",
        metrics={},
        reason="odd",
    )
    files = [root / "workspace" / "inputs" / "snapshot.json"]
    logged = runtime.registry.log_training(trained, outputs=outputs, params={}, tags={}, files=files)
    return register(logged, runtime=runtime).model_version
