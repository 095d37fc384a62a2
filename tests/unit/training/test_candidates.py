"""Candidates learn, stop in time, cope with every kind of column, and come out the same twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sample_models
import torch

from pipelines.errors import ConfigError, DataError, SchemaError
from pipelines.features.encoding import fit_encoding
from pipelines.metrics import evaluate_predictions
from pipelines.training.candidates import PARAMETERS, FittedCandidate, fit_candidate
from pipelines.training.candidates.threads import limited_threads


def _fit(
    name: str, train: pa.Table, valid: pa.Table, task: Any = "binary", **training: int
) -> FittedCandidate:
    config = sample_models.config(task, **training)
    encoding = fit_encoding(train, config.features)
    return fit_candidate(name, train, valid, config=config, encoding=encoding, seed=3)


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_classifier_ranks_far_better_than_chance(name: str) -> None:
    test = sample_models.rows(3000, 11)
    predictions = sample_models.fitted(name, "binary").predict(test)
    metrics = evaluate_predictions(test["outcome"], predictions, "binary")
    assert metrics["auc"] > 0.74
    assert abs(predictions.mean() - metrics["prevalence"]) < 0.05, "probabilities are on the right scale"


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_regression_explains_most_of_the_spread(name: str) -> None:
    test = sample_models.rows(3000, 11, task="regression")
    predictions = sample_models.fitted(name, "regression").predict(test)
    assert evaluate_predictions(test["outcome"], predictions, "regression")["r2"] > 0.7


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_repeat_gives_the_same_model(name: str, task: Any) -> None:
    first = sample_models.fitted(name, task)
    sample_models.fitted.cache_clear()
    torch.rand(1)  # the state of the global generator must not matter
    second = sample_models.fitted(name, task)
    assert first is not second
    assert first.description.model_dump_json() == second.description.model_dump_json()
    for key, tensor in first.tensors.items():
        assert tensor.tobytes() == second.tensors[key].tobytes(), key


@pytest.mark.parametrize("name", [name for name in sample_models.CANDIDATES if name != "linear_model"])
def test_another_seed_gives_another_model(name: str) -> None:
    train, valid = sample_models.rows(1000, 1), sample_models.rows(300, 2)
    config, encoding = sample_models.config("binary"), sample_models.encoding("binary")
    first, second = (
        fit_candidate(name, train, valid, config=config, encoding=encoding, seed=seed) for seed in (1, 2)
    )
    assert not np.array_equal(first.predict(valid), second.predict(valid))


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_training_stops_where_validation_was_best(name: str) -> None:
    # Nothing can be learned here but noise: the sooner it stops, the better.
    train, valid = sample_models.rows(600, 1), sample_models.rows(600, 2)
    shuffled = np.random.default_rng(0).permutation(train["outcome"].to_numpy())
    train = train.set_column(train.column_names.index("outcome"), "outcome", pa.array(shuffled))
    candidate = _fit(name, train, valid, max_epochs=40, max_iterations=150)
    notes = candidate.description.training
    assert notes.n_rounds < 30
    target, predictions = valid["outcome"].to_numpy(), candidate.predict(valid)
    loss = evaluate_predictions(target, predictions, "binary")["log_loss"]
    assert notes.valid_loss == pytest.approx(loss, rel=1e-4), "what predicts is the model that was kept"


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_features_without_any_value_are_no_obstacle(name: str) -> None:
    train, valid = sample_models.rows(300, 1), sample_models.rows(100, 2)
    for table_name in (*sample_models.NUMERIC, *sample_models.CATEGORICAL):
        index = train.column_names.index(table_name)
        blank = pa.nulls(300, train.schema.field(index).type)
        train = train.set_column(index, table_name, blank)
    candidate = _fit(name, train, valid)
    predictions = candidate.predict(valid)
    # All training rows look alike; the network still saw each column as missing, and nothing else.
    assert np.isfinite(predictions).all()
    assert candidate.predict(train).std() < 1e-9


def test_rare_categories_beyond_what_scikit_learn_takes_count_as_missing() -> None:
    random = np.random.default_rng(0)
    common = np.repeat(np.arange(255), 8)
    train = sample_models.rows(common.size + 20, 1)
    zips = [f"common {i}" for i in common] + [f"rare {i}" for i in range(20)]
    index = train.column_names.index("zip")
    train = train.set_column(index, "zip", pa.array(zips)).take(random.permutation(train.num_rows))
    candidate = _fit("hist_gradient_boosting", train, sample_models.rows(200, 2))
    row = sample_models.rows(1, 5)
    as_rare, as_null = (
        candidate.predict(row.set_column(index, "zip", pa.array([value], pa.string())))
        for value in ("rare 3", None)
    )
    assert as_rare == as_null


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_no_rows_give_no_predictions(name: str) -> None:
    predictions = sample_models.fitted(name, "binary").predict(sample_models.rows(0, 1))
    assert predictions.shape == (0,)
    assert predictions.dtype == np.float64


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_constant_regression_target_is_learned(name: str) -> None:
    train, valid = sample_models.rows(200, 1), sample_models.rows(50, 2)
    index = train.column_names.index("outcome")
    train, valid = (t.set_column(index, "outcome", pa.repeat(4.0, t.num_rows)) for t in (train, valid))
    predictions = _fit(name, train, valid, "regression", max_epochs=30).predict(valid)
    np.testing.assert_allclose(predictions, 4.0, atol=0.5)


def _with_target(table: pa.Table, values: list[float | None]) -> pa.Table:
    target = pa.array((values * table.num_rows)[: table.num_rows], pa.float64())
    return table.set_column(table.column_names.index("outcome"), "outcome", target)


@pytest.mark.parametrize(
    ("train_target", "valid_target", "message"),
    [
        pytest.param([0.0], [0.0, 1.0], "is 0 in all 40 rows to learn from", id="one-class"),
        pytest.param(
            [0.0, None], [0.0, 1.0], "not finite in 20 of 40 rows to learn from", id="unknown-target"
        ),
        pytest.param([0.0, 1.0], [0.0, 2.0], "must be 0 or 1 in the rows to validate", id="a-third-class"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(
    train_target: list[float | None], valid_target: list[float | None], message: str
) -> None:
    train = _with_target(sample_models.rows(40, 1), train_target)
    valid = _with_target(sample_models.rows(40, 2), valid_target)
    with pytest.raises(DataError, match=message):
        _fit("hist_gradient_boosting", train, valid)


def test_one_class_is_enough_to_validate_on() -> None:
    valid = _with_target(sample_models.rows(40, 2), [1.0])
    candidate = _fit("hist_gradient_boosting", sample_models.rows(400, 1), valid)
    assert candidate.predict(valid).shape == (40,)


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to validate on"):
        _fit("hist_gradient_boosting", sample_models.rows(40, 1), sample_models.rows(0, 1))


def test_rows_without_target_column_are_refused() -> None:
    with pytest.raises(SchemaError, match="no target column 'outcome'"):
        _fit(
            "hist_gradient_boosting",
            sample_models.rows(40, 1).drop_columns(["outcome"]),
            sample_models.rows(9, 1),
        )


@pytest.mark.parametrize("name", ["embedding_network", "linear_model"])
def test_a_model_without_finite_loss_is_refused(name: str) -> None:
    valid = _with_target(sample_models.rows(40, 2), [1e300, -1e300])
    with pytest.raises(DataError, match="no finite loss"):
        _fit(name, sample_models.rows(40, 1), valid, "regression")


def _small(name: str, task: Any = "binary", **options: Any) -> FittedCandidate:
    train, valid = sample_models.rows(500, 1, task=task), sample_models.rows(200, 2, task=task)
    config = sample_models.config(task, max_epochs=2, max_iterations=10)
    encoding = fit_encoding(train, config.features)
    return fit_candidate(name, train, valid, config=config, encoding=encoding, seed=3, **options)


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, key) for name, known in PARAMETERS.items() for key in known]
)
def test_a_parameter_may_have_any_value_within_its_bounds(name: str, parameter: str) -> None:
    known = PARAMETERS[name][parameter]
    bounds = [_small(name, parameters={parameter: value}) for value in (known.low, known.high)]
    test = sample_models.rows(50, 5, unseen=True)
    first, second = (candidate.predict(test) for candidate in bounds)
    assert np.isfinite([first, second]).all()
    assert not np.array_equal(first, second), "it makes a difference"
    assert bounds[1].description.training.parameters == {parameter: known.high}


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_the_defaults_are_what_is_used_without_parameters(name: str) -> None:
    defaults = {key: parameter.default for key, parameter in PARAMETERS[name].items()}
    plain, spelt_out = _small(name), _small(name, parameters=defaults)
    assert plain.description.training.parameters == {}
    for key, tensor in plain.tensors.items():
        assert tensor.tobytes() == spelt_out.tensors[key].tobytes(), key


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param({"depth": 3}, "has no parameter 'depth': choose from learning_rate", id="unknown"),
        pytest.param({"max_leaf_nodes": 32}, "a whole number from 4 to 31, not 32", id="too-large"),
        pytest.param({"max_leaf_nodes": 7.5}, "a whole number from 4 to 31, not 7.5", id="no-whole-number"),
        pytest.param({"learning_rate": float("nan")}, "a number from 0.01 to 0.3, not nan", id="nan"),
    ],
)
def test_parameters_out_of_bounds_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _small("hist_gradient_boosting", parameters=parameters)


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_each_round_tells_its_loss_on_the_validation_rows(name: str, task: Any) -> None:
    told: list[tuple[int, float]] = []
    candidate = _small(name, task, on_round=lambda number, loss: told.append((number, loss)))
    assert [number for number, _ in told] == list(range(1, len(told) + 1))
    kept = candidate.description.training.n_rounds
    assert told[kept - 1][1] == min(loss for _, loss in told), "the best one is kept"
    valid = sample_models.rows(200, 2, task=task)
    metrics = evaluate_predictions(valid["outcome"], candidate.predict(valid), task)
    loss = metrics["rmse"] ** 2 if task == "regression" else metrics["log_loss"]
    assert told[kept - 1][1] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_what_a_listener_raises_ends_the_fit(name: str) -> None:
    told: list[int] = []

    def prune(number: int, _loss: float) -> None:
        told.append(number)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        _small(name, on_round=prune)
    assert told == [1]
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_linear_model_gives_a_rare_level_the_weight_of_unknown_ones() -> None:
    train = sample_models.rows(600, 1)
    index = train.column_names.index("site")
    sites = pa.array(["rare"] * 9 + ["common"] * 10 + train["site"].to_pylist()[19:])
    candidate = _fit("linear_model", train.set_column(index, "site", sites), sample_models.rows(200, 2))
    row = sample_models.rows(1, 5)
    rare, common, new = (
        candidate.predict(row.set_column(index, "site", pa.array([value])))
        for value in ("rare", "common", "never seen")
    )
    assert rare == new != common


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with suppress(RuntimeError), limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise RuntimeError("a fit that fails")
    assert torch.get_num_threads() == before


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    _fit("embedding_network", sample_models.rows(60, 1), sample_models.rows(30, 2), max_epochs=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()
