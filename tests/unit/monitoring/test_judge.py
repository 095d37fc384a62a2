"""The four kinds of drift are told apart, and only two of them raise the alarm."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.monitoring.calibration import Calibrations
from pipelines.monitoring.judge import Judge
from pipelines.monitoring.window import Window


def _replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.fixture
def judge(reference, config, tmp_path):
    judge = Judge(reference, config, Calibrations(reference, config, tmp_path / "calibration"))

    def verdict(table, **parts):
        window = {"features": table, "predictions": table, "labels": table, "labelled": table} | parts
        return judge.verdict(
            "toy", "2013-03-07", "1", Window(first="2013-03-01", last="2013-03-07", **window)
        )

    return verdict


@pytest.fixture
def calm(make_table):
    return make_table("2013-03-01", "2013-03-07", seed=4)


def test_days_like_the_reference_raise_no_alarm(judge, calm):
    record = judge(calm)
    assert record.kinds == ()
    assert (record.is_alarm, record.is_confirmed, record.n_alarm_nights) == (False, False, 0)
    assert record.performance_value > record.performance_floor
    assert record.window == ("2013-03-01", "2013-03-07")


def test_most_features_moving_is_data_drift_and_an_alarm(judge, make_table):
    record = judge(make_table("2013-03-01", "2013-03-07", shift=6.0))
    assert record.kinds == ("data",)
    assert record.is_alarm
    assert record.drifted_fraction == pytest.approx(2 / 3)


def test_predictions_and_labels_that_move_alone_are_written_down_without_alarm(judge, calm):
    moved = _replace(calm, "prediction", pa.array(np.full(calm.num_rows, 0.99)))
    late = _replace(calm, "late", pa.array(np.ones(calm.num_rows)))
    record = judge(calm, predictions=moved, labels=late)
    assert record.kinds == ("prediction", "label")
    assert not record.is_alarm
    assert (record.prediction.column, record.label.column) == ("prediction", "late")


def test_predictions_that_lost_their_skill_are_concept_drift_and_an_alarm(judge, calm, make_table):
    record = judge(calm, labelled=make_table("2013-03-01", "2013-03-07", skill=0.0))
    assert record.kinds == ("concept",)
    assert record.is_alarm
    assert record.performance_value < record.performance_floor


def test_less_than_half_a_window_of_labels_is_shown_but_not_judged(judge, calm, make_table):
    record = judge(calm, labelled=make_table("2013-03-01", "2013-03-03", skill=0.0))
    assert record.performance_value == pytest.approx(0.5, abs=0.15)
    assert record.performance_floor is None
    assert not record.is_alarm


def test_night_without_labels_is_judged_by_its_data(judge, calm):
    empty = calm.slice(0, 0)
    record = judge(calm, predictions=empty, labels=empty, labelled=empty)
    assert (record.prediction, record.label, record.performance_value) == (None, None, None)
    assert len(record.columns) == 3


def test_night_of_one_row_is_recorded_and_calm(judge, calm):
    record = judge(calm.slice(0, 1))
    assert record.columns == ()
    assert not record.is_alarm


def test_same_night_gives_the_same_digest(judge, calm):
    assert judge(calm).digest == judge(calm).digest
