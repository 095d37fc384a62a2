"""How fast a model answers: one row on its own, and many at once."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.evaluation.holdout import Predict
from pipelines.records import Speed

_N_CALLS = 100
_N_ROWS = 20_000


def measure_speed(features: pa.Table, predict: Predict, *, open_seconds: float, device: str) -> Speed | None:
    """Time the scorer on this machine, beside whatever else runs here; None without rows.

    Parameters
    ----------
    features : pyarrow.Table
        Rows to score; repeated, where they are fewer than 20,000.
    predict : callable
        The scorer's.
    open_seconds : float
        How long it took to open.
    """
    if not features.num_rows:
        return None
    many = pa.concat_tables([features] * -(-_N_ROWS // features.num_rows)).slice(0, _N_ROWS).combine_chunks()
    singles = [many.slice(number * (_N_ROWS // _N_CALLS), 1) for number in range(_N_CALLS)]
    predict(singles[0])  # what is set up by a first call is no part of the others
    calls = [_timed(predict, row) for row in singles]
    at_once = _timed(predict, many)
    return Speed(
        device=device,
        n_threads=1,
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        open_seconds=open_seconds,
        row_seconds=float(np.median(calls)),
        row_seconds_p95=float(np.quantile(calls, 0.95)),
        n_calls=_N_CALLS,
        rows_per_second=many.num_rows / at_once,
        n_rows=many.num_rows,
    )


def write_speed(speed: Speed | None, path: Path) -> None:
    """Write ``speed.json``; nothing where nothing was measured."""
    if speed is not None:
        path.write_text(speed.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _timed(predict: Predict, rows: pa.Table) -> float:
    started = time.perf_counter()
    predict(rows)
    return time.perf_counter() - started
