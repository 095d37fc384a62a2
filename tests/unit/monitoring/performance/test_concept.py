"""A loss on mature labels is an alarm where the holdout's days and the number of rows don't explain it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.monitoring.performance.concept import judge_performance, matters
from pipelines.records import partition_range, shift_partition

NEWEST = "2013-03-07"
HOLDOUT = "2013-01-01"


def _days(seed, last, n_days, *, per_day=300, skill=0.95, spread=0.0, worse_days=0, worse_skill=0.0):
    """Draw days up to ``last``; of the newest ones the model knows less. ``spread`` is how days differ."""
    random = np.random.default_rng(seed)
    keys = np.repeat(partition_range(shift_partition(last, 1 - n_days), last), per_day)
    skills = skill + spread * random.normal(size=n_days)
    skills[n_days - worse_days :] = worse_skill
    truth = (random.random(keys.size) < 0.25).astype(np.float64)
    score = random.normal(size=keys.size) + truth * np.repeat(skills, per_day)
    return pa.table({"partition_key": keys, "late": truth, "prediction": 1 / (1 + np.exp(-score))})


def _holdout(seed, n_days=14, **changes):
    return _days(seed, shift_partition(HOLDOUT, n_days - 1), n_days, **({"per_day": 220} | changes))


def _errors(seed, last, n_days, *, per_day=200, size=1.0, worse_days=0, worse_size=1.0):
    random = np.random.default_rng(seed)
    keys = np.repeat(partition_range(shift_partition(last, 1 - n_days), last), per_day)
    sizes = np.full(n_days, size)
    sizes[n_days - worse_days :] = worse_size
    truth = random.normal(size=keys.size) * 3
    guess = truth + random.normal(size=keys.size) * np.repeat(sizes, per_day)
    return pa.table({"partition_key": keys, "late": truth, "prediction": guess})


@pytest.fixture
def regression(config_with):
    return config_with(task="regression", labels={"late": "float"})


@pytest.fixture
def multiclass(config_with):
    classes = {"task": "multiclass", "classes": ["a", "b", "c"], "labels": {"late": "string"}}
    return config_with(**classes)


def _chances(seed, last, n_days, *, per_day=200, guessed_days=0):
    """Draw three classes by known chances; of the newest days the classes come as they like."""
    random = np.random.default_rng(seed)
    keys = np.repeat(partition_range(shift_partition(last, 1 - n_days), last), per_day)
    chances = random.dirichlet([0.5, 0.5, 0.5], keys.size)
    real = chances.copy()
    real[keys.size - guessed_days * per_day :] = 1 / 3
    truth = (random.random(keys.size)[:, None] > real.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    columns = {f"probability_{number}": chances[:, number] for number in range(3)}
    return pa.table(
        {"partition_key": keys, "late": truth.astype(float), "prediction": chances[:, 0]} | columns
    )


def test_lost_skill_is_critical_on_its_first_mature_night(config):
    severities = []
    for seed in range(40):
        window = _days(seed, NEWEST, 7, per_day=500, worse_days=1)
        found = judge_performance(window, _holdout(1000 + seed), config, newest=NEWEST)
        severities.append(found.severity)
        assert found.loss == pytest.approx(found.reference_value - found.value)
    assert severities.count("critical") >= 38
    assert (found.first_partition, found.last_partition, found.n_days) == (NEWEST, NEWEST, 1)
    assert found.n_rows == 500


@pytest.mark.parametrize("spread", [pytest.param(0.0, id="alike"), pytest.param(0.2, id="days-differ")])
def test_calm_nights_hardly_ever_alarm(config, spread):
    alarms = sum(
        judge_performance(
            _days(seed, NEWEST, 7, spread=spread),
            _holdout(1000 + seed, spread=spread),
            config,
            newest=NEWEST,
        ).is_drifted
        for seed in range(150)
    )
    # At 0.5 % a night, four or more of 150 have a chance of 1 %.
    assert alarms <= 3


def test_days_that_differ_excuse_what_alike_days_do_not(config):
    window = _days(3, NEWEST, 7, worse_days=1, worse_skill=0.3)
    p_values = [
        judge_performance(window, _holdout(4, spread=spread), config, newest=NEWEST).p_value
        for spread in (0.0, 0.5)
    ]
    assert p_values[0] < 0.005 < p_values[1]


def test_small_lasting_loss_is_found_by_the_whole_window(config):
    lengths = []
    for seed in range(10):
        window = _days(seed, NEWEST, 7, per_day=1000, worse_days=7, worse_skill=0.6)
        found = judge_performance(window, _holdout(20 + seed, per_day=1000), config, newest=NEWEST)
        assert 0.03 < found.loss < 0.12
        lengths += [found.n_days] if found.is_drifted else []
    assert len(lengths) >= 8
    assert lengths.count(7) > len(lengths) / 2


def test_better_is_no_drift(config):
    found = judge_performance(_days(5, NEWEST, 7, skill=3.0), _holdout(6), config, newest=NEWEST)
    assert (found.is_drifted, found.loss) == (False, 0.0)
    assert found.p_value > 0.5


def test_loss_that_does_not_matter_is_no_drift_however_sure(config_with):
    window = _days(5, NEWEST, 7, per_day=3000, worse_days=7, worse_skill=0.5)
    holdout = _holdout(6, per_day=1500)
    for max_loss, is_drifted in ((0.02, True), (0.5, False)):
        config = config_with(monitoring={"max_loss": max_loss})
        found = judge_performance(window, holdout, config, newest=NEWEST)
        assert (found.p_value < 0.005, found.is_drifted) == (True, is_drifted)


def test_immature_days_are_left_alone(config):
    window = _days(5, NEWEST, 7, per_day=500, worse_days=2)
    found = judge_performance(window, _holdout(6), config, newest=shift_partition(NEWEST, -2))
    assert (found.is_drifted, found.last_partition <= "2013-03-05") == (False, True)


@pytest.mark.parametrize(
    ("window", "holdout"),
    [
        pytest.param(_days(1, NEWEST, 7, per_day=4), _holdout(2), id="few-rows"),
        pytest.param(_days(1, NEWEST, 7).slice(0, 0), _holdout(2), id="no-rows"),
        pytest.param(_days(1, NEWEST, 7), _holdout(2).slice(0, 0), id="no-holdout"),
        pytest.param(_days(1, "2013-01-30", 7), _holdout(2), id="too-old"),
    ],
)
def test_nothing_is_said_where_nothing_can_be_known(config, window, holdout):
    assert judge_performance(window, holdout, config, newest=NEWEST) is None


def _of_one_class(table, first):
    chosen = np.array(table["partition_key"].to_pylist()) >= first
    late = np.where(chosen, 0.0, table["late"].to_numpy())
    return table.set_column(table.column_names.index("late"), "late", pa.array(late))


def test_days_of_one_class_are_no_error(config):
    window = _days(1, NEWEST, 7)
    last_two = judge_performance(_of_one_class(window, "2013-03-06"), _holdout(2), config, newest=NEWEST)
    assert last_two.n_days >= 3
    assert judge_performance(_of_one_class(window, "2013-01-01"), _holdout(2), config, newest=NEWEST) is None
    sparse = _of_one_class(_holdout(2), shift_partition(HOLDOUT, 5))
    assert judge_performance(window, sparse, config, newest=NEWEST).is_drifted is False


@pytest.mark.parametrize("n_days", [1, 2, 3])
def test_short_holdout_still_finds_lost_skill(config, n_days):
    window = _days(5, NEWEST, 7, per_day=1000, worse_days=3)
    holdout = _holdout(6, n_days, per_day=1500)
    assert judge_performance(window, holdout, config, newest=NEWEST).is_drifted
    calm = judge_performance(_days(5, NEWEST, 7), holdout, config, newest=NEWEST)
    assert calm.is_drifted is False


def test_perfect_holdout_is_no_error(config):
    perfect = _holdout(6, skill=50.0)
    assert judge_performance(_days(5, NEWEST, 7, skill=50.0), perfect, config, newest=NEWEST).loss == 0.0
    found = judge_performance(_days(5, NEWEST, 7, per_day=500), perfect, config, newest=NEWEST)
    assert (found.severity, found.reference_value) == ("critical", 1.0)


def test_larger_errors_of_a_regression_are_found(regression):
    holdout = _errors(1, shift_partition(HOLDOUT, 13), 14)
    calm = judge_performance(_errors(2, NEWEST, 7), holdout, regression, newest=NEWEST)
    assert (calm.metric, calm.is_drifted) == ("rmse", False)
    worse = _errors(2, NEWEST, 7, per_day=500, worse_days=1, worse_size=2.0)
    found = judge_performance(worse, holdout, regression, newest=NEWEST)
    assert (found.severity, found.n_days) == ("critical", 1)
    assert found.loss == pytest.approx(1.0, abs=0.2)


def test_single_monstrous_error_is_no_drift(regression):
    holdout = _errors(1, shift_partition(HOLDOUT, 13), 14)
    window = _errors(2, NEWEST, 7)
    guess = window["prediction"].to_numpy().copy()
    guess[-1] += 1000.0
    window = window.set_column(2, "prediction", pa.array(guess))
    found = judge_performance(window, holdout, regression, newest=NEWEST)
    assert (found.is_drifted, found.loss > 10) == (False, True)


def test_regression_without_any_error_is_no_error(regression):
    holdout = _errors(1, shift_partition(HOLDOUT, 13), 14, size=0.0)
    calm = judge_performance(_errors(2, NEWEST, 7, size=0.0), holdout, regression, newest=NEWEST)
    assert (calm.is_drifted, calm.loss) == (False, 0.0)
    found = judge_performance(_errors(2, NEWEST, 7), holdout, regression, newest=NEWEST)
    assert (found.severity, found.reference_value) == ("critical", 0.0)


def test_chances_that_mean_nothing_any_more_are_found(multiclass):
    holdout = _chances(1, shift_partition(HOLDOUT, 13), 14)
    calm = judge_performance(_chances(2, NEWEST, 7), holdout, multiclass, newest=NEWEST)
    assert (calm.metric, calm.is_drifted) == ("log_loss", False)
    found = judge_performance(_chances(2, NEWEST, 7, guessed_days=1), holdout, multiclass, newest=NEWEST)
    assert (found.severity, found.n_days) == ("critical", 1)


@pytest.mark.parametrize(
    ("task", "max_loss", "expected"),
    [
        pytest.param("binary", None, 0.02, id="auc"),
        pytest.param("binary", 0.05, 0.05, id="auc-of-ones-own"),
        pytest.param("regression", None, 0.8, id="error"),
        pytest.param("regression", 0.25, 2.0, id="error-of-ones-own"),
    ],
)
def test_loss_that_matters_is_in_units_of_the_metric(config_with, task, max_loss, expected):
    labels = {"late": "float" if task == "regression" else "integer"}
    config = config_with(task=task, labels=labels, monitoring={"max_loss": max_loss})
    assert matters(config, 8.0) == pytest.approx(expected)


def test_rows_without_label_or_prediction_do_not_count(config):
    window = _days(5, NEWEST, 7)
    unknown = window.set_column(1, "late", pa.nulls(window.num_rows, pa.float64()))
    lost = window.set_column(2, "prediction", pa.array(np.full(window.num_rows, np.nan)))
    both = pa.concat_tables([window, unknown, lost])
    alone = judge_performance(window, _holdout(6), config, newest=NEWEST)
    assert judge_performance(both, _holdout(6), config, newest=NEWEST) == alone
