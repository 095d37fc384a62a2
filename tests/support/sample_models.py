"""Small tables that hold everything a model may meet, and the candidates fitted on them.

Among the columns: one that is always null, one constant, one with infinite values, a category of more
levels than scikit-learn takes, and a category without any value.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.bundle.description import Calibration
from pipelines.bundle.files import with_outputs, write_bundle
from pipelines.config import DatasetConfig, Task
from pipelines.features.encoding import Encoding, fit_encoding
from pipelines.training.candidates import FittedCandidate, fit_candidate
from pipelines.training.candidates.calibration import apply_calibration

CANDIDATES = ("hist_gradient_boosting", "embedding_network", "linear_model")
TASKS: tuple[Task, ...] = ("binary", "regression", "multiclass")
# The last one never occurs.
CLASSES = ("low", "middle", "high", "<b>&", "absent")
NUMERIC = ("x", "y", "spiky", "flat", "blank")
CATEGORICAL = ("site", "zip", "void")
SEED = 7
_N_ZIPS = 300


def config(task: Task, **training: int) -> DatasetConfig:
    """Return the configuration of a dataset with every kind of column."""
    return DatasetConfig.model_validate(
        {
            "description": "What happens?",
            "task": task,
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "key": ["id"],
            "event_time": "at",
            "columns": {"id": "integer", "at": "timestamp"},
            "target": "outcome",
            "classes": CLASSES if task == "multiclass" else (),
            "labels": {"outcome": "float"},
            "features": {"sql": "rows.sql", "numeric": NUMERIC, "categorical": CATEGORICAL},
            "training": {"max_iterations": 40, "max_epochs": 3, **training},
        }
    )


def rows(n: int, seed: int, *, task: Task = "binary", unseen: bool = False) -> pa.Table:
    """Return feature rows with their target; with ``unseen``, also levels that training lacks."""
    random = np.random.default_rng(seed)
    x, y = np.round(random.normal(size=n), 1), random.exponential(50.0, size=n)
    site = random.integers(0, 5 + 2 * unseen, size=n)
    zips = random.integers(0, _N_ZIPS * (1 + unseen), size=n)
    spiky = np.where(random.random(n) < 0.05, np.inf, random.normal(size=n))
    score = x + 0.02 * y - 1.0 + (site % 2) + 0.5 * (zips % 3)
    chance = 1 / (1 + np.exp(-score))
    if task == "binary":
        outcome = random.random(n) < chance
    elif task == "multiclass":
        outcome = np.digitize(score + 0.5 * random.normal(size=n), [-0.5, 0.5, 1.5])
    else:
        outcome = 100.0 + 25.0 * score + random.normal(size=n)
    return pa.table(
        {
            "x": pa.array(x, mask=random.random(n) < 0.1),
            "y": pa.array(y, mask=random.random(n) < 0.1),
            "spiky": pa.array(spiky),
            "flat": pa.array(np.full(n, 0.1)),
            "blank": pa.array(random.normal(size=n) if unseen else [None] * n, pa.float64()),
            "site": pa.array([f"site {i}" for i in site], mask=random.random(n) < 0.1),
            "zip": pa.array([f"{i:05d}" for i in zips]),
            "void": pa.array(["surprise"] * n if unseen else [None] * n, pa.string()),
            "outcome": pa.array(outcome.astype(np.float64)),
        }
    )


@functools.cache
def encoding(task: Task) -> Encoding:
    """Return the encoding of the training rows."""
    return fit_encoding(rows(4000, 1, task=task), config(task).features)


@functools.cache
def fitted(name: str, task: Task) -> FittedCandidate:
    """Return a candidate fitted on 4000 rows."""
    return fit_candidate(
        name,
        rows(4000, 1, task=task),
        rows(800, 2, task=task),
        config=config(task),
        encoding=encoding(task),
        seed=SEED,
    )


def calibrated(name: str, task: Task) -> FittedCandidate:
    """Return a fitted candidate with a calibration that moves every output."""
    n_outputs = fitted(name, task).description.n_outputs
    intercepts = tuple(0.3 - 0.1 * number for number in range(n_outputs))
    return apply_calibration(fitted(name, task), Calibration(slope=0.7, intercepts=intercepts))


def golden(candidate: FittedCandidate, n: int = 50) -> pa.Table:
    """Return rows with levels that training lacks, and the training library's predictions for them."""
    sample = rows(n, 3, unseen=True)
    return with_outputs(sample, candidate.predict(sample))


def write(path: Path, name: str, task: Task) -> Path:
    """Write the bundle of a fitted candidate; return its folder."""
    candidate = fitted(name, task)
    write_bundle(path, candidate.description, candidate.tensors, golden(candidate))
    return path
