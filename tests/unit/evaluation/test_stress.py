"""A model under stress: what is spoilt, and what it costs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scored_rows

from pipelines.evaluation.holdout import Holdout, Predict
from pipelines.evaluation.stress import stress_results
from pipelines.features.encoding import fit_encoding
from pipelines.records import StressResult


def _stress(
    task: str, predict: Predict | None = None
) -> tuple[Holdout, dict[tuple[str, float], StressResult]]:
    rows, config = scored_rows.rows_of(task), scored_rows.config_of(task)
    predict = predict or scored_rows.model_of(task)
    holdout = scored_rows.holdout_of(rows, predict(rows), config)
    found = stress_results(holdout, predict, fit_encoding(rows, config.features))
    return holdout, {(result.kind, result.amount): result for result in found}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_more_spoilt_data_cost_more(task: str) -> None:
    _, found = _stress(task)

    for kind, little, much in (("noise", 0.1, 0.5), ("missing", 0.1, 0.5)):
        costs = [found[kind, amount].loss for amount in (little, much)]
        assert costs[0] is not None
        assert costs[1] is not None
        assert costs[1] > max(costs[0], 0)
    assert all(result.is_finite for result in found.values())


def test_a_column_that_the_model_does_not_look_at_costs_nothing() -> None:
    _, found = _stress("binary")

    for amount in (0.1, 0.5):
        assert found["unseen_levels", amount].loss == 0.0
        assert found["unseen_levels", amount].moved == 0.0
        assert found["unseen_levels", amount].n_columns == 2


def test_a_model_that_gives_no_number_is_told() -> None:
    def brittle(table: pa.Table) -> np.ndarray:  # type: ignore[type-arg]
        x = table["x"].cast(pa.float64()).to_numpy()
        return np.where(np.isnan(x), np.nan, 10 * x)

    _, found = _stress("regression", brittle)

    assert found["noise", 0.1].is_finite
    assert not found["missing", 0.5].is_finite
    assert found["missing", 0.5].metric is None


def test_what_a_model_met_is_what_was_announced() -> None:
    met: list[pa.Table] = []

    def watch(table: pa.Table) -> np.ndarray:  # type: ignore[type-arg]
        met.append(table)
        return scored_rows.model_of("regression")(table)

    holdout, found = _stress("regression", watch)
    tables = dict(zip(found, met[1:], strict=True))
    x = holdout.rows["x"].to_numpy()

    assert np.std(tables["noise", 0.5]["x"].to_numpy() - x) == pytest.approx(0.5 * x.std(), rel=0.1)
    assert tables["missing", 0.1]["kind"].null_count / len(x) == pytest.approx(0.1, abs=0.03)
    far = np.abs(tables["extreme", 10.0]["x"].to_numpy() - x.mean()) > 9 * x.std()
    assert far.mean() == pytest.approx(0.05, abs=0.02)
    strange = np.isin(tables["unseen_levels", 0.5]["site"].to_numpy(zero_copy_only=False), ["north", "south"])
    assert strange.mean() == pytest.approx(0.5, abs=0.05)


def test_the_same_rows_give_the_same_figures() -> None:
    assert _stress("binary")[1] == _stress("binary")[1]
