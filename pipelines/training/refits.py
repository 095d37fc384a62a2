"""The same recipe, fitted again to resamples of its rows: what luck of training makes of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.features.encoding import fit_encoding
from pipelines.training.candidates import calibrate, calibration_slice, fit_candidate

_MAX_ROWS = 10_000
# Models of more rows differ less. On flights the variance beyond what days explain fell by a quarter from
# 10,000 rows to 20,000: as the root of their number, where theory promises the number itself.
_FALL = 0.5

Predict = Callable[[pa.Table], npt.NDArray[np.float64]]


class Recipe(NamedTuple):
    """What a model was made by, but for its rows.

    ``parameters`` are the hyperparameters that were chosen, by name; ``seed`` that of the model itself.
    """

    candidate: str
    parameters: Mapping[str, float]
    seed: int


def refit(train: pa.Table, valid: pa.Table, recipe: Recipe, *, config: DatasetConfig) -> Iterator[Predict]:
    """Fit a recipe ``evaluation.refits`` times, each time with another seed to a resample of its rows.

    Parameters
    ----------
    train, valid : pyarrow.Table
        The rows to fit on, and those to stop early by; at most 10,000 of each are used.

    Yields
    ------
    callable
        What predicts, as the training library does. The same rows and recipe give the same models.

    Raises
    ------
    DataError
        If a resample can't be learned from: it holds one class only.
    """
    valid, to_calibrate = calibration_slice(_spread(valid), config=config)
    for seed in range(recipe.seed + 1, recipe.seed + 1 + config.evaluation.refits):
        drawn = np.random.default_rng(seed).choice(train.num_rows, min(train.num_rows, _MAX_ROWS))
        rows = train.take(pa.array(np.sort(drawn)))
        fitted = fit_candidate(
            recipe.candidate,
            rows,
            valid,
            config=config,
            encoding=fit_encoding(rows, config.features),
            seed=seed,
            parameters=recipe.parameters,
        )
        yield calibrate(fitted, to_calibrate, config=config).predict


def spread_of_more_rows(n_rows: int) -> float:
    """Return what to multiply the standard deviation of refits by, for models fitted on ``n_rows``."""
    return float((min(n_rows, _MAX_ROWS) / n_rows) ** (_FALL / 2))


def _spread(table: pa.Table) -> pa.Table:
    n = min(table.num_rows, _MAX_ROWS)
    return table.take(pa.array(np.linspace(0, max(table.num_rows - 1, 0), n).astype(np.int64)))
