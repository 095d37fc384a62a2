"""Predictions beside the labels that came after them."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.metrics import evaluate_predictions
from pipelines.monitoring.reference import PROBABILITY, numeric_values, predicted_values
from pipelines.monitoring.reference_sketch import PREDICTION


def join_labels(predictions: pa.Table, labels: pa.Table, target: str) -> pa.Table:
    """Return the predictions whose label is known.

    Parameters
    ----------
    predictions : pyarrow.Table
        ``row_id``, ``partition_key`` and ``prediction``, perhaps the probabilities of classes.
    labels : pyarrow.Table
        ``row_id`` and ``target`` as a number (:mod:`pipelines.features.target`), in which nulls are unknown.

    Returns
    -------
    pyarrow.Table, shape (n, 4 + K)
        ``row_id``, ``partition_key``, ``prediction``, the probabilities and ``target``, none of them null, by
        row key.
    """
    probabilities = [name for name in predictions.column_names if name.startswith(PROBABILITY)]
    left = predictions.select(["row_id", "partition_key", PREDICTION, *probabilities])
    joined = left.join(labels.select(["row_id", target]), keys="row_id", join_type="inner")
    known = joined.filter(pc.and_(pc.is_valid(joined[target]), pc.is_valid(joined[PREDICTION])))
    return known.sort_by("row_id").combine_chunks()


def measure(joined: pa.Table, *, target: str, task: str) -> dict[str, float]:
    """Return every metric of a task that the joined rows define, by name."""
    metrics = evaluate_predictions(numeric_values(joined, target), predicted_values(joined, task), task)
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
