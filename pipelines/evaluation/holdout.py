"""The rows that a model is measured on, with what it said and what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.metrics import row_losses

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Predict = Callable[[pa.Table], Floats]


@dataclass(frozen=True)
class Holdout:
    """The held-out rows of one model, scored.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, any)
        ``row_id``, ``partition_key``, the features, the target as a number, and the columns by which
        groups of rows are told apart; features may be null, the target not.
    prediction : ndarray of float64, shape (n,) or (n, K)
        The probability of 1, of each class, or the value; by the scorer.
    units : ndarray, shape (n,)
        Which rows belong together when luck is measured: days, or groups of rows.
    unit : str
        What they are: ``days`` or ``groups of rows``.
    """

    rows: pa.Table
    prediction: Floats
    units: npt.NDArray[Any]
    unit: str
    config: DatasetConfig

    @property
    def task(self) -> str:
        """The task of the dataset."""
        return self.config.task

    @cached_property
    def target(self) -> Floats:
        """What happened, shape (n,)."""
        return np.asarray(self.rows[self.config.target].to_numpy(), dtype=np.float64)

    @cached_property
    def losses(self) -> Floats:
        """The loss of each row: log loss in nats, of a regression the squared error; shape (n,)."""
        return row_losses(self.target, self.prediction, self.task)

    def spread(self, at_most: int) -> Holdout:
        """Return at most so many of the rows, evenly spaced."""
        if self.rows.num_rows <= at_most:
            return self
        chosen = np.linspace(0, self.rows.num_rows - 1, at_most).astype(np.int64)
        return replace(
            self,
            rows=self.rows.take(pa.array(chosen)),
            prediction=self.prediction[chosen],
            units=self.units[chosen],
        )
