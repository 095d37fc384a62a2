"""Importance is the share of a model's skill that goes with a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.monitoring.consequence.importance import permutation_importance


def _config(task="binary"):
    return DatasetConfig.model_validate(
        {
            "description": "a toy",
            "task": task,
            "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
            "columns": {"strong": "float", "weak": "float", "idle": "float", "kind": "string"},
            "target": "y",
            "labels": {"y": "float"},
            "features": {"sql": "t.sql", "numeric": ["strong", "weak", "idle"], "categorical": ["kind"]},
        }
    )


def _rows(n=3000):
    random = np.random.default_rng(3)
    columns = {name: random.normal(size=n) for name in ("strong", "weak", "idle")}
    score = 2 * columns["strong"] + 0.5 * columns["weak"]
    y = (random.random(n) < 1 / (1 + np.exp(-score))).astype(float)
    return pa.table({**columns, "kind": random.choice(["a", "b"], n), "y": y})


def _predict(rows):
    score = 2 * rows["strong"].to_numpy() + 0.5 * rows["weak"].to_numpy()
    return 1 / (1 + np.exp(-score))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_columns_share_the_skill_by_what_each_brings(task):
    found = permutation_importance(_predict, _rows(), _config(task))
    assert found["strong"] > 0.8 > 0.2 > found["weak"] > 0
    assert found["idle"] == found["kind"] == 0
    assert sum(found.values()) == pytest.approx(1)


def test_the_same_seed_gives_the_same_shares():
    first, second = (permutation_importance(_predict, _rows(), _config(), seed=4) for _ in range(2))
    assert first == second


def test_at_most_two_thousand_rows_are_predicted_at_once():
    seen = []
    permutation_importance(lambda rows: seen.append(rows.num_rows) or _predict(rows), _rows(5000), _config())
    assert max(seen) == 2000


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(_rows().slice(0, 0), id="no-rows"),
        pytest.param(_rows().set_column(4, "y", pa.nulls(3000, pa.float64())), id="no-labels"),
        pytest.param(_rows().set_column(4, "y", pa.array(np.ones(3000))), id="one-class"),
    ],
)
def test_where_skill_is_not_defined_nothing_is_important(rows):
    assert set(permutation_importance(_predict, rows, _config()).values()) == {0.0}


def test_a_model_without_skill_rests_on_nothing():
    flat = permutation_importance(lambda rows: np.full(rows.num_rows, 0.5), _rows(), _config())
    assert set(flat.values()) == {0.0}
