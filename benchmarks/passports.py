"""A thousand passports of rows, over a year of real flights: are they complete, and how long does one take?

Every night of 2013 is ingested, validated and scored as a night is; the model is trained, gated and promoted
as by Airflow. The peer looks each row up as one would without knowing its partition: in the whole table.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import duckdb

from pipelines.config import DatasetConfig, Params
from pipelines.records import partition_range, shift_partition
from pipelines.registry.row_passport import RowPassport
from pipelines.runtime import Runtime
from pipelines.steps.explain import explain
from pipelines.steps.gate import gate
from pipelines.steps.ingest import ingest_range
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.train import train
from pipelines.steps.validate import validate_range

T = TypeVar("T")
DATASET = "flights"
FIRST, TRAINED, LAST = "2013-01-01", "2013-04-01", "2013-12-30"
N_PASSPORTS, N_SCANS, N_COMMANDS = 1_000, 20, 3
RUN = "bench_flights/a-run"
_SEED = 20130704


def main() -> None:
    """Print the time a passport takes, and what is missing in how many of them."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        print("Preparing: a year of nights, a champion, and its predictions for nine months.")
        runtime = _runtime(folder)
        ids = _prepare(runtime)
        report(runtime, ids, environ={"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})


def report(runtime: Runtime, ids: Sequence[str], *, environ: dict[str, str]) -> None:
    """Measure, and make sure of what is claimed."""
    began = time.process_time()
    found, seconds = _timed(lambda row_id: explain(DATASET, row_id, runtime=runtime), ids)
    spent = (time.process_time() - began) / len(ids)
    scanned, scan_seconds = _timed(lambda row_id: _scan(runtime, row_id), ids[:N_SCANS])
    typical = statistics.median(seconds)
    print(f"  {len(found)} passports of rows of {len({p.partition_key for p in found})} nights")
    print(
        f"  incomplete: {sum(bool(_lacks(p)) for p in found)}; bytes not as recorded: "
        f"{sum(p.is_intact is not True for p in found)}"
    )
    cuts = statistics.quantiles(seconds, n=100)
    slow = sum(second >= 1.0 for second in seconds)
    print(
        f"{'a passport, median / 99 % / slowest':<45} {typical:6.3f} / {cuts[98]:.3f} / {max(seconds):.3f} s"
    )
    print(f"{'  of the processor / longer than a second':<45} {spent:6.3f} s / {slow} of {len(seconds)}")
    scan = statistics.median(scan_seconds)
    print(f"{'finding the row alone, in the whole table':<45} {scan:6.3f} s   {scan / typical:.2f}")
    started = time.perf_counter()
    for row_id in ids[:N_COMMANDS]:
        command = [sys.executable, "-m", "pipelines.cli", "explain", DATASET, row_id]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environ})
    print(f"{'`holdfast explain`, a process each':<45} {(time.perf_counter() - started) / N_COMMANDS:6.3f} s")
    assert all(len(rows) == 1 for rows in scanned)
    assert not any(_lacks(passport) for passport in found), next(filter(None, map(_lacks, found)))


def _timed(function: Callable[[str], T], ids: Sequence[str]) -> tuple[list[T], list[float]]:
    found, seconds = [], []
    for row_id in ids:
        started = time.perf_counter()
        found.append(function(row_id))
        seconds.append(time.perf_counter() - started)
    return found, seconds


def _lacks(passport: RowPassport) -> list[str]:
    """Return what an answer to "which model decided this, and what made it?" lacks."""
    model, scoring, gates = passport.model, passport.scoring, passport.gates
    parts = {
        "prediction": passport.prediction,
        "source": passport.source_file,
        "ingestion": passport.ingestion and passport.ingestion.run_id,
        "suite results": passport.validation and passport.validation.expectations,
        "scoring run": scoring and scoring.run_id,
        "data days": model and model.days and all(day.outcome for day in model.days),
        "commit": model and model.trained.code_commit,
        "params": model and model.config,
        "environment lock": model and model.environment,
        "registration run": model and model.dag_run,
        "approver": passport.promotion and passport.promotion.actor,
        "evidence": gates and gates.gates and gates.run_id,
    }
    return [name for name, part in parts.items() if not part] + list(passport.missing)


def _scan(runtime: Runtime, row_id: str) -> list[object]:
    with duckdb.connect() as connection:
        runtime.lake.attach(connection, DATASET, "predictions", view="everything")
        return connection.execute("SELECT * FROM everything WHERE row_id = ?", [row_id]).fetchall()


def _runtime(folder: str) -> Runtime:
    plain = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
    config = plain.dataset(DATASET).model_dump(mode="json")
    config["training"] |= {"candidates": ["hist_gradient_boosting"], "max_iterations": 40}
    params = Params(datasets={DATASET: DatasetConfig.model_validate(config)})
    return Runtime(settings=plain.settings, params=params, run_id=RUN)


def _prepare(runtime: Runtime) -> list[str]:
    """Make the year; return the ids of a thousand rows of it."""
    ingest_range(DATASET, FIRST, LAST, runtime=runtime)
    validate_range(DATASET, FIRST, LAST, runtime=runtime)
    trained = train(DATASET, TRAINED, runtime=runtime, reason="a first champion")
    version = register(trained, runtime=runtime).model_version
    gate(DATASET, version, runtime=runtime)
    decision = promote(DATASET, version, runtime=runtime, actor="ada", note="approved")
    assert decision.is_promoted, decision.reason
    for night in partition_range(shift_partition(TRAINED, 1), LAST):
        score(DATASET, night, runtime=runtime)
    rows = runtime.lake.read(DATASET, "predictions", columns=["row_id"])["row_id"].to_pylist()
    return random.Random(_SEED).sample(sorted(rows), N_PASSPORTS)


if __name__ == "__main__":
    main()
