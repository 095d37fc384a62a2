"""Predictions meet the labels that came after them, by row key."""

from __future__ import annotations

import pyarrow as pa

from pipelines.monitoring.performance.labelled import join_labels, measure


def _predictions(*rows):
    keys, values = zip(*rows, strict=True)
    return pa.table({"row_id": keys, "partition_key": ["2013-01-01"] * len(rows), "prediction": list(values)})


def test_only_rows_with_a_known_label_and_prediction_meet():
    predictions = _predictions(("c", 0.9), ("a", 0.1), ("b", 0.2), ("d", None))
    labels = pa.table({"row_id": ["a", "b", "c", "d", "z"], "late": pa.array([0, None, 1, 1, 1], pa.int64())})
    joined = join_labels(predictions, labels, "late")
    assert joined.select(["row_id", "prediction", "late"]).to_pylist() == [
        {"row_id": "a", "prediction": 0.1, "late": 0},
        {"row_id": "c", "prediction": 0.9, "late": 1},
    ]


def test_metrics_that_the_rows_do_not_define_are_left_out():
    joined = join_labels(_predictions(("a", 0.1)), pa.table({"row_id": ["a"], "late": [0]}), "late")
    found = measure(joined, target="late", task="binary")
    assert "auc" not in found
    assert found["brier"] == 0.1**2
