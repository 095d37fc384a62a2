"""A rollback by the command line: seconds until the alias is back, a million rows a night scored again.

Two gradient-boosted models are champions in turn, each scores three nights of a million rows; then
``holdfast rollback`` and ``holdfast rescore`` are run as a person runs them. It asserts that the predictions
are then the first one's own, to the byte, that the second one's are kept, and that a repeat does nothing.
It takes minutes, so that it runs only when it is named: ``make bench ARGS=rollback``.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from pipelines.bundle.files import write_bundle
from pipelines.config import PROJECT_ROOT
from pipelines.features.encoding import fit_encoding
from pipelines.records import GateRecord, GateResult, partition_date, partition_range
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.superseded import SUPERSEDED
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.candidates import fit_candidate

N_ROWS, N_NIGHTS, N_LEARNED = 1_000_000, 3, 40_000
DAYS = partition_range("2013-01-01", "2013-01-21")
NIGHTS = DAYS[-1 - N_NIGHTS : -1]
NUMERIC = [f"x{number}" for number in range(10)]
SQL = f"SELECT e.row_id, {', '.join(f'e.{name}' for name in NUMERIC)}, e.site FROM events e"  # noqa: S608
SITES = [f"site {number}" for number in range(30)]


def main() -> None:
    """Print what each step took."""
    sys.path.insert(0, str(PROJECT_ROOT / "tests" / "support"))
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="holdfast-rollback-") as folder:
        for line in trial(Path(folder)):
            print(f"  {line}", flush=True)


def trial(folder: Path) -> Sequence[str]:
    """Yield a line for each step."""
    world, environment = _world(folder)
    dataset = next(iter(world.params.datasets))
    by_version = {}
    for seed in (1, 2):
        version = _crown(world, folder / f"model-{seed}", seed)
        started = time.perf_counter()
        for night in NIGHTS:
            score(dataset, night, runtime=world)
        by_version[version] = _digests(world, dataset)
        took = time.perf_counter() - started
        yield f"v{version} scored {N_NIGHTS} nights of {N_ROWS:,} rows in {took:.0f} s"
    first, second = by_version
    assert by_version[first] != by_version[second]
    took = _run(environment, "rollback", dataset, "--reason", "benchmark")
    assert world.registry.alias(dataset, CHAMPION) == first
    yield f"holdfast rollback: the alias is back after {took}, the start of the program included"
    again = ("rescore", dataset, NIGHTS[0], "--last", NIGHTS[-1], "--reason", "benchmark", "--actor", "bench")
    took = _run(environment, *again)
    assert _digests(world, dataset) == by_version[first]
    assert _digests(world, dataset, SUPERSEDED, second) == by_version[second]
    yield f"holdfast rescore: {N_NIGHTS} nights are the old champion's own again after {took}"
    before = world.lake.version(dataset, "predictions")
    took = _run(environment, *again)
    assert world.lake.version(dataset, "predictions") == before
    yield f"holdfast rescore, repeated: nothing to do, after {took}"


def _world(folder: Path) -> tuple[Runtime, dict[str, str]]:
    """Return a world of published days, the last ones large, and the environment that leads to it."""
    import toy_world

    columns = {"id": "integer", "at": "timestamp", "site": "string", **dict.fromkeys(NUMERIC, "float")}
    features = {"sql": "toy.sql", "history_days": 0, "numeric": NUMERIC, "categorical": ["site"]}
    world = toy_world.open_world(folder, "empty", sql=SQL, columns=columns, features=features)
    for day in DAYS:
        rows = _rows(day, N_ROWS if day in NIGHTS else 2_000)
        version = world.lake.replace(toy_world.DATASET, "validated", day, rows)
        labels = pa.table({"row_id": rows["row_id"], "y": _happens(rows)})
        world.lake.replace(toy_world.DATASET, "labels", day, labels)
        world.ledger.record(toy_world.validation_of(day, version.digest))
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump(world.params.model_dump(mode="json")), encoding="utf-8")
    settings = world.settings
    places = {"HOME": settings.home, "PROJECT": settings.project, "PARAMS": params, "DEVICE": "cpu"}
    return world, {f"HOLDFAST_{name}": str(place) for name, place in places.items()}


def _rows(day: str, n_rows: int) -> pa.Table:
    random = np.random.default_rng(partition_date(day).toordinal())
    midnight = datetime.combine(partition_date(day), datetime.min.time(), tzinfo=UTC)
    at = pa.repeat(pa.scalar(midnight, pa.timestamp("us", tz="UTC")), n_rows)
    return pa.table(
        {
            "row_id": [f"{day}|{number:07d}" for number in range(n_rows)],
            "event_time": at,
            "id": np.arange(n_rows),
            "at": at,
            "site": np.array(SITES)[random.integers(len(SITES), size=n_rows)],
            **{name: random.normal(size=n_rows) for name in NUMERIC},
        }
    )


def _happens(rows: pa.Table) -> np.ndarray[Any, Any]:
    score_ = sum(rows[name].to_numpy() / (number + 1) for number, name in enumerate(NUMERIC))
    return (np.sin(3 * score_) + rows["x0"].to_numpy() > 0).astype(np.int64)


def _crown(world: Runtime, folder: Path, seed: int) -> str:
    """Train a model on days of its own, register it, and make it the champion."""
    import toy_world

    config = world.dataset(toy_world.DATASET)
    learned, held_out = (
        rows.append_column("y", pa.array(_happens(rows).astype(np.float64)))
        for rows in (_rows(f"2012-0{seed}-0{day}", N_LEARNED // day) for day in (1, 4))
    )
    encoding = fit_encoding(learned, config.features)
    name = "hist_gradient_boosting"
    fitted = fit_candidate(name, learned, held_out, config=config, encoding=encoding, seed=seed)
    golden = held_out.slice(0, 100).select([*NUMERIC, "site"])
    golden = golden.append_column("prediction", pa.array(fitted.predict(golden)))
    described = toy_world.describe(world, folder / "outputs", candidate=name, training_key=f"{seed:064d}")
    shutil.rmtree(folder / "outputs" / "bundle")
    digest = write_bundle(folder / "outputs" / "bundle", fitted.description, fitted.tensors, golden)
    trained = world.registry.log_training(
        described.model_copy(update={"bundle_digest": digest}),
        outputs=folder / "outputs",
        params={},
        tags={},
        files=toy_world.lineage_files(world, folder),
    )
    version = register(trained, runtime=world).model_version
    world.ledger.record(_evidence(world, version, digest))
    assert promote(toy_world.DATASET, version, runtime=world, actor="bench").is_promoted
    return version


def _evidence(world: Runtime, version: str, digest: str) -> GateRecord:
    """Return gates that are passed: what is measured here is what comes after them."""
    dataset = next(iter(world.params.datasets))
    present = world.ledger.champions.present(dataset)
    return GateRecord(
        dataset=dataset,
        partition_key=DAYS[-1],
        model_version=version,
        bundle_digest=digest,
        champion_version=None if present is None else present.model_version,
        champion_sequence=0 if present is None else present.sequence,
        metric="auc",
        challenger_value=0.8,
        champion_value=None,
        gates=(GateResult(name="beats_champion", is_passed=True, observed="yes", required="yes"),),
        is_passed=True,
    )


def _digests(
    world: Runtime, dataset: str, table: str = "predictions", version: str | None = None
) -> list[str]:
    """Return what each night's predictions are; of one version, where a table holds several."""
    found = []
    for night in NIGHTS:
        names = ["row_id", "event_time", "prediction", "model_version"]
        rows = world.lake.read(dataset, table, partitions=[night], columns=names)
        if version is not None:
            rows = rows.filter(pc.equal(rows["model_version"], version))
        found.append(table_digest(rows.drop_columns([PARTITION_COLUMN])))
    return found


def _run(environment: dict[str, str], *arguments: str) -> str:
    """Run a command in a process of its own; say what it took."""
    started, before = time.perf_counter(), _cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return f"{time.perf_counter() - started:.1f} s (CPU {_cpu_seconds() - before:.1f} s)"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
