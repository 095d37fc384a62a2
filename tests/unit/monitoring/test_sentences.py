"""A verdict in a sentence."""

from __future__ import annotations

import doctest

import pytest

from pipelines.monitoring import sentences
from pipelines.monitoring.sentences import drifted_columns, verdict_sentence
from pipelines.records import ColumnDrift, DriftRecord


def column(name: str, *, distance: float = 0.4, is_drifted: bool = True, impact: float = 0.0) -> ColumnDrift:
    return ColumnDrift(
        column=name,
        method="wasserstein",
        distance=distance,
        threshold=0.1,
        is_drifted=is_drifted,
        impact=impact,
    )


def verdict(**changes) -> DriftRecord:
    plain = {
        "dataset": "flights",
        "partition_key": "2013-07-01",
        "model_version": "1",
        "window": ("2013-06-25", "2013-07-01"),
        "columns": (),
        "is_alarm": False,
        "is_confirmed": False,
        "n_alarm_nights": 0,
    }
    return DriftRecord.model_validate({**plain, **changes})


def test_examples_of_the_docstring_hold():
    assert doctest.testmod(sentences).failed == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"columns": (column("temp"), column("humid", is_drifted=False))},
            "calm, though 1 column moved (most: temp).",
            id="not-enough-for-an-alarm",
        ),
        pytest.param(
            {
                "columns": (column("temp"), column("visib", impact=0.2)),
                "kinds": ("data",),
                "severity": "warning",
                "is_alarm": True,
                "n_alarm_nights": 1,
                "action": "record",
            },
            "data drift in 2 columns (most: visib, temp), warning, not confirmed yet: put on record, since "
            "no loss of performance is known or expected.",
            id="on-record",
        ),
        pytest.param(
            {
                "kinds": ("concept",),
                "severity": "critical",
                "is_alarm": True,
                "is_confirmed": True,
                "n_alarm_nights": 1,
                "action": "retrain",
            },
            "concept drift, critical, confirmed on 1 night: worth a retraining.",
            id="retrain",
        ),
    ],
)
def test_sentence_says_what_moved_how_sure_and_what_to_do(changes, sentence):
    assert verdict_sentence(verdict(**changes)) == sentence


def test_columns_are_ranked_by_what_they_matter_and_named_once():
    columns = (column("a", distance=0.9), column("b", impact=0.1), column("a"), column("c", is_drifted=False))
    assert drifted_columns(verdict(columns=columns)) == ["b", "a"]
