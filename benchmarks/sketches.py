"""Sketches against Evidently on the same tables; memory at any size; a night's cost by length of history.

``python -m benchmarks.sketches --rows 100000000`` sketches so many rows from Parquet, 10 million without it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from pipelines.monitoring.sketch import (
    DaySketches,
    TableSketch,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    learn_grid,
    missing_share_difference,
    new_level_share,
    population_stability_index,
    sketch_days,
    sketch_parquet,
    sketch_table,
    wasserstein,
)

N_ROWS, N_NUMERIC, N_CATEGORICAL = 200_000, 40, 10
N_PARQUET, N_HUGE, ROWS_A_FILE = 10_000_000, 100_000_000, 1_000_000
MAX_RSS_MB = 2_048
HISTORIES, ROWS_A_NIGHT = (30, 360), 1_000


def main(n_rows: int = N_PARQUET) -> None:
    """Print the comparison, the accuracy, the memory of ``n_rows`` rows and the cost of a night."""
    _against_evidently()
    _accuracy()
    _from_parquet(n_rows)
    _histories()


def hundred_million() -> None:
    """Sketch 100 million rows of 50 columns from Parquet."""
    _from_parquet(N_HUGE)


def _against_evidently() -> None:
    before, now = _table(N_ROWS, seed=1), _table(N_ROWS, seed=2, shift=0.1)
    numeric, categorical = _columns()

    def ours() -> int:
        grid = learn_grid(before, numeric=numeric, categorical=categorical)
        return _all_distances(sketch_table(before, grid), sketch_table(now, grid))

    ours_before = _seconds(ours)
    theirs_seconds = _evidently_seconds(before, now)
    ours_seconds = statistics.median([ours_before, _seconds(ours), _seconds(ours)])
    print(
        f"  {N_ROWS:,} rows x 2 sides x {len(numeric) + len(categorical)} columns: ours {ours_seconds:.2f} s "
        f"(grid, sketches, {ours()} distances), Evidently's DataDriftPreset {theirs_seconds:.1f} s: "
        f"{theirs_seconds / ours_seconds:.0f} times as long (goal 20)"
    )


def _evidently_seconds(before: pa.Table, now: pa.Table) -> float:
    """Return what Evidently's drift preset takes, from frames, once it has been imported and run small."""
    os.environ["DO_NOT_TRACK"] = "1"
    import evidently
    from evidently.presets import DataDriftPreset

    numeric, categorical = _columns()
    definition = evidently.DataDefinition(numerical_columns=numeric, categorical_columns=categorical)

    def run(n_rows: int) -> float:
        frames = [
            evidently.Dataset.from_pandas(side.slice(0, n_rows).to_pandas(), data_definition=definition)
            for side in (now, before)
        ]
        return _seconds(lambda: evidently.Report([DataDriftPreset()]).run(*frames).dict())

    run(2_000)
    return run(N_ROWS)


def _accuracy() -> None:
    """Print how far sketch distances are from those of the rows, where the latter are above 0.01."""
    random = np.random.default_rng(7)
    draws: dict[str, Callable[[int, float], np.ndarray]] = {
        "normal": lambda n, shift: random.normal(shift, 1, n),
        "lognormal": lambda n, shift: np.exp(random.normal(shift, 1.5, n)),
        "zeros and a tail": lambda n, shift: np.where(
            random.random(n) < 0.4, 0, random.exponential(1 + shift, n)
        ),
        "heavy tails": lambda n, shift: random.standard_cauchy(n) + shift,
        "integers": lambda n, shift: random.poisson(6 + 3 * shift, n).astype(float),
        "two modes": lambda n, shift: (
            np.where(random.random(n) < 0.5 + shift / 4, -5, 5) + random.normal(size=n)
        ),
    }
    for n_now in (500, 5_000, 100_000):
        worst = {"KS": 0.0, "PSI": 0.0, "JS": 0.0}
        for draw in draws.values():
            for shift in (0.0, 0.1, 0.5):
                for name, (exact, found) in _exact_and_sketched(
                    draw(100_000, 0.0), draw(n_now, shift)
                ).items():
                    if exact > 0.01:
                        worst[name] = max(worst[name], abs(found / exact - 1))
        told = ", ".join(f"{name} {error:.2%}" for name, error in worst.items())
        print(f"  largest relative error to the rows' distances, {n_now:,} rows a window: {told} (goal 1 %)")


def _exact_and_sketched(before: np.ndarray, now: np.ndarray) -> dict[str, tuple[float, float]]:
    grid = learn_grid(pa.table({"x": before}), numeric=["x"], categorical=[])
    sides = [sketch_table(pa.table({"x": side}), grid) for side in (before, now)]
    edges = np.unique(np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf"))
    p, q = (
        np.bincount(np.searchsorted(edges, side), minlength=edges.size + 1) / side.size
        for side in (before, now)
    )
    middle = (p + q) / 2
    divergence = (stats.entropy(p, middle) + stats.entropy(q, middle)) / 2
    floored = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    psi = float(((floored[1] - floored[0]) * np.log(floored[1] / floored[0])).sum())
    return {
        "KS": (float(stats.ks_2samp(before, now, method="asymp").statistic), kolmogorov_smirnov(*sides, "x")),
        "PSI": (psi, population_stability_index(*sides, "x")),
        "JS": (float(np.sqrt(divergence)), jensen_shannon(*sides, "x")),
    }


def _from_parquet(n_rows: int) -> None:
    """Sketch many rows in a process of its own, and tell its peak memory.

    One file of a million rows is read as often as it takes: the disk holds 400 MB, and the page cache helps.
    """
    n_rows = max(n_rows, 1)
    with tempfile.TemporaryDirectory(prefix="holdfast-sketches-") as folder:
        path = Path(folder) / "rows.parquet"
        pq.write_table(_table(min(n_rows, ROWS_A_FILE), seed=3), path, row_group_size=ROWS_A_FILE // 8)
        took = _in_a_process(path, n_rows)
    assert took["peak_mb"] <= MAX_RSS_MB, took
    print(
        f"  {took['n_rows']:,.0f} rows x {N_NUMERIC + N_CATEGORICAL} columns from Parquet: "
        f"{took['seconds']:.0f} s ({took['n_rows'] / took['seconds'] / 1e3:,.0f} thousand rows a second), "
        f"peak {took['peak_mb']:.0f} MB (limit {MAX_RSS_MB}), sketch {took['kilobytes']:.0f} kB"
    )


def _in_a_process(path: Path, n_rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sketches", "--sketch", str(path), "--rows", str(n_rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    took: dict[str, float] = json.loads(done.stdout)
    return took


def _sketch_repeatedly(path: Path, n_rows: int) -> dict[str, float]:
    """Sketch a file again and again until ``n_rows`` are done; the peak is this process's own."""
    numeric, categorical = _columns()
    grid = learn_grid(pq.ParquetFile(path).read_row_group(0), numeric=numeric, categorical=categorical)
    n_files = -(-n_rows // pq.ParquetFile(path).metadata.num_rows)
    started = time.perf_counter()
    found = sketch_parquet([path] * n_files, grid)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return {
        "n_rows": found.n_rows,
        "seconds": seconds,
        "peak_mb": int(status.partition("VmHWM:")[2].split()[0]) / 1024,
        "kilobytes": len(found.to_bytes()) / 1024,
    }


def _histories() -> None:
    """Print what a night costs with short and long histories."""
    numeric, categorical = _columns()
    night = _table(ROWS_A_NIGHT, seed=5)
    for n_days in HISTORIES:
        rows = _table(n_days * ROWS_A_NIGHT, seed=4)
        keys = pa.array(np.repeat([f"day {number:03}" for number in range(n_days)], ROWS_A_NIGHT))
        grid = learn_grid(rows, numeric=numeric, categorical=categorical)
        kept = sketch_days(rows.append_column("partition_key", keys), grid).to_bytes()
        read = min(_seconds(lambda content=kept: DaySketches.from_bytes(content).total) for _ in range(3))
        reference = DaySketches.from_bytes(kept)
        count = min(_seconds(lambda cells=grid: sketch_table(night, cells)) for _ in range(3))
        now = sketch_table(night, reference.grid)
        judge = min(_seconds(lambda sides=(reference.total, now): _all_distances(*sides)) for _ in range(3))
        print(
            f"  a night of {ROWS_A_NIGHT:,} rows after {n_days} nights: reading the reference "
            f"({len(kept) / 1e6:.1f} MB) {1e3 * read:.0f} ms, counting {1e3 * count:.0f} ms, "
            f"all distances {1e3 * judge:.0f} ms"
        )


def _all_distances(before: TableSketch, now: TableSketch) -> int:
    """Compute every distance of every column; return how many there are."""
    both = (population_stability_index, jensen_shannon, chi_square, missing_share_difference)
    found: list[object] = []
    for column in before.grid.numeric:
        found += [distance(before, now, column) for distance in (kolmogorov_smirnov, wasserstein, *both)]
    for column in before.grid.categorical:
        found += [distance(before, now, column) for distance in (new_level_share, *both)]
    return len(found)


def _columns() -> tuple[list[str], list[str]]:
    return [f"x{n:02}" for n in range(N_NUMERIC)], [f"kind{n}" for n in range(N_CATEGORICAL)]


def _table(n_rows: int, *, seed: int, shift: float = 0.0) -> pa.Table:
    """Draw numbers of four shapes, a tenth of some missing, and categories with a long tail."""
    random = np.random.default_rng(seed)
    draws: Sequence[Callable[[], np.ndarray]] = (
        lambda: random.normal(shift, 1, n_rows),
        lambda: random.lognormal(shift, 1, n_rows),
        lambda: np.where(random.random(n_rows) < 0.1, np.nan, random.exponential(1 + shift, n_rows)),
        lambda: random.poisson(20 + shift, n_rows).astype(np.float64),
    )
    numeric, categorical = _columns()
    columns = {name: pa.array(draws[n % len(draws)](), from_pandas=True) for n, name in enumerate(numeric)}
    names = pa.array([f"level {n}" for n in range(200)])
    for name in categorical:
        columns[name] = names.take(pa.array(random.zipf(1.5, n_rows) % 200))
    return pa.table(columns)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=N_PARQUET, help="how many rows to sketch from Parquet")
    parser.add_argument("--sketch", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sketch:
        print(json.dumps(_sketch_repeatedly(asked.sketch, asked.rows)))
    else:
        main(asked.rows)
