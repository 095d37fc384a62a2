"""The one scorer against the library that trained the model: rows a second, and the largest difference."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.bundle.files import write_bundle
from pipelines.config import PROJECT_ROOT, FeaturesConfig, load_params
from pipelines.features.encoding import fit_encoding
from pipelines.scoring.scorer import Scorer
from pipelines.training.candidates import PARAMETERS, fit_candidate

Predict = Callable[[pa.Table], object]
N_TRAIN, N_SCORED, N_TURNS = 60_000, 300_000, 3


def main() -> None:
    """Print one line a family."""
    config = load_params(PROJECT_ROOT / "params.yaml").dataset("flights")
    train, valid, scored = (
        _rows(n, seed, config.features) for seed, n in enumerate((N_TRAIN, 10_000, N_SCORED))
    )
    encoding = fit_encoding(train, config.features)
    print(
        f"{'':26}{'scorer':>14}{'library':>14}{'ratio':>8}{'difference':>13}   ({N_SCORED} rows, one thread)"
    )
    for name in PARAMETERS:
        fitted = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bundle"
            sample = scored.slice(0, 100).select(list(config.features.columns))
            golden = sample.append_column("prediction", pa.array(fitted.predict(sample)))
            write_bundle(path, fitted.description, fitted.tensors, golden)
            with Scorer.open(path, "cpu") as scorer:
                ours, theirs = _in_turn(scorer.predict, fitted.predict, scored)
                difference = np.abs(scorer.predict(scored) - fitted.predict(scored)).max()
        print(
            f"  {name:24}{N_SCORED / ours:10,.0f} r/s{N_SCORED / theirs:10,.0f} r/s{theirs / ours:8.1f}"
            f"{difference:13.1e}"
        )


def _in_turn(first: Predict, second: Predict, rows: pa.Table) -> tuple[float, float]:
    """Return the median seconds of two functions that run turn by turn."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(N_TURNS):
        for seconds, function in zip(spent, (first, second), strict=True):
            began = time.perf_counter()
            function(rows)
            seconds.append(time.perf_counter() - began)
    return statistics.median(spent[0]), statistics.median(spent[1])


def _rows(n: int, seed: int, features: FeaturesConfig) -> pa.Table:
    """Return made-up rows of the flights' shape: 5 % missing, a long tail of categories."""
    chance = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    signal = np.zeros(n)
    for name in features.numeric:
        values = chance.normal(size=n)
        signal += 0.3 * values
        columns[name] = pa.array(values, mask=chance.random(n) < 0.05)
    for name in features.categorical:
        columns[name] = pa.array([f"{name}{code}" for code in chance.zipf(1.5, n) % 120])
    columns["is_late"] = pa.array((chance.random(n) < 1 / (1 + np.exp(-signal))).astype(np.int64))
    return pa.table(columns)
