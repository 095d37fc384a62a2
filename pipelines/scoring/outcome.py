"""Predictions in a dataset's own terms: its classes, and the columns of the predictions table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.description import BundleDescription
from pipelines.bundle.files import PREDICTION, with_outputs
from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.features.target import likeliest_classes
from pipelines.scoring.scorer import Scorer

Floats = npt.NDArray[np.float64]


def predict(
    scorer: Scorer,
    features: pa.Table,
    config: DatasetConfig,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Return what a model predicts, in the order of the dataset's present classes.

    Parameters
    ----------
    scorer : Scorer
        Perhaps of a model that was trained when `classes` named others, or in another order.
    features, progress
        As for :meth:`~pipelines.scoring.scorer.Scorer.predict`.

    Returns
    -------
    ndarray of float64, shape (n,), or (n, K) for task ``multiclass``
        A class that the model does not know has probability 0.

    Raises
    ------
    ConfigError
        If the model is of another task, or of other classes altogether.
    """
    description = scorer.description
    _require_same_task(description, config)
    predicted = scorer.predict(features, progress=progress)
    if description.classes == config.classes or not description.classes:
        return predicted
    if config.task == "binary":
        return 1.0 - predicted  # the same two, the other way round
    return _reordered(predicted, description.classes, config.classes)


def with_predictions(table: pa.Table, predicted: Floats, config: DatasetConfig) -> pa.Table:
    """Return a table with ``prediction``; of a multiclass task also ``probability_0`` to ``_<K-1>``.

    ``prediction`` is float64, the probability of the positive class or the value; of a multiclass task
    it is the name of the likeliest class.
    """
    if config.task == "multiclass":
        table = table.append_column(PREDICTION, likeliest_classes(predicted, config.classes))
    return with_outputs(table, predicted)


def _reordered(predicted: Floats, known: tuple[str, ...], wanted: tuple[str, ...]) -> Floats:
    """Return one column a wanted class; rows add up to one again where classes were taken out."""
    found = np.zeros((len(predicted), len(wanted)))
    for number, name in enumerate(wanted):
        if name in known:
            found[:, number] = predicted[:, known.index(name)]
    totals = found.sum(axis=1, keepdims=True)
    even = np.full(found.shape, 1 / len(wanted))
    return np.asarray(np.divide(found, totals, out=even, where=totals > 0))


def _require_same_task(description: BundleDescription, config: DatasetConfig) -> None:
    same = description.task == config.task
    if same and description.task == "binary" and description.classes and config.classes:
        same = set(description.classes) == set(config.classes)
    if same and description.task == "multiclass":
        same = not set(description.classes).isdisjoint(config.classes)
    if not same:
        raise ConfigError(
            f"The model predicts {_what(description.task, description.classes)}, and params.yaml asks for "
            f"{_what(config.task, config.classes)}: train and promote a model of the new task first."
        )


def _what(task: str, classes: tuple[str, ...]) -> str:
    named = f" of {', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}" if classes else ""
    return f"a {task} target{named}"
