"""One night's cost with three months behind it, and with fifteen: what is kept must not make nights slower.

Two homes have the same champion and the same nights before them, taken turn by turn. The longer one has a
year more of partitions, each ingested, validated, scored and with verdicts of its own on record.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.night import DATASET, HISTORY, STEPS
from pipelines.records import DriftRecord, PerformanceRecord, partition_range
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.ingest import ingest_range
from pipelines.steps.monitor import monitor
from pipelines.steps.promote import promote
from pipelines.steps.reconcile import reconcile
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.train import train
from pipelines.steps.validate import validate_range

YEAR_BEFORE = ("2012-01-01", "2012-12-31")
# Its verdict and performance stand for all of that year's.
SAMPLE_NIGHT = "2012-12-20"
NIGHTS = [f"2013-04-{day:02d}" for day in range(1, 11)]
# The first nights warm caches, of libraries and of what the lake has open.
_N_WARM = 3


def main() -> None:
    """Print one line a step."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        print("Preparing: two homes with one champion; one has a year more behind it.")
        short = _prepare(Path(folder) / "short", first=HISTORY[0])
        long = _prepare(Path(folder) / "long", first=YEAR_BEFORE[0])
        _remember_a_year(long)
        spent = [_night(night, (short, long)) for night in NIGHTS][_N_WARM:]
    n_short, n_long = (len(partition_range(first, HISTORY[1])) for first in (HISTORY[0], YEAR_BEFORE[0]))
    print(f"{'':16}{n_short:8} nights{n_long:8} nights{'ratio':>8}   (medians of {len(spent)} nights)")
    for step in (*STEPS, "the whole night"):
        few, many = (statistics.median(night[side][step] for night in spent) for side in (0, 1))
        print(f"  {step:16}{few:11.2f} s{many:13.2f} s{many / few:8.2f}")


def _prepare(home: Path, *, first: str) -> Runtime:
    runtime = Runtime.load({"HOLDFAST_HOME": str(home), "HOLDFAST_DEVICE": "cpu"})
    ingest_range(DATASET, first, HISTORY[1], runtime=runtime)
    validate_range(DATASET, first, HISTORY[1], runtime=runtime)
    trained = train(DATASET, HISTORY[1], runtime=runtime, first_partition=HISTORY[0], reason="benchmark")
    version = register(trained, runtime=runtime).model_version
    gate(DATASET, version, runtime=runtime)
    promote(DATASET, version, runtime=runtime, actor="benchmark")
    return runtime


def _remember_a_year(runtime: Runtime) -> None:
    """Score a year of nights, and put a verdict and a measured performance of each on record."""
    days = partition_range(*YEAR_BEFORE)
    for day in days:
        score(DATASET, day, runtime=runtime)
    reconcile(DATASET, SAMPLE_NIGHT, runtime=runtime)
    verdict = monitor(DATASET, SAMPLE_NIGHT, runtime=runtime)
    measured = runtime.ledger.history(PerformanceRecord, DATASET)[-1]
    for day in days:
        for record in (verdict, measured):
            runtime.ledger.record(record.model_copy(update={"partition_key": day}))
    assert len(runtime.ledger.history(DriftRecord, DATASET)) == len(days)


def _night(night: str, homes: tuple[Runtime, Runtime]) -> list[dict[str, float]]:
    """Do one night in both homes, step by step; return the seconds of each."""
    spent: list[dict[str, float]] = [{}, {}]
    for name, step in STEPS.items():
        for side, runtime in enumerate(homes):
            began = time.perf_counter()
            step(DATASET, night, runtime=runtime)
            spent[side][name] = time.perf_counter() - began
    for seconds in spent:
        seconds["the whole night"] = sum(seconds.values())
    return spent


if __name__ == "__main__":
    main()
