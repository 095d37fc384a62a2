"""The same recipe fitted again: other models each time, and the same ones in every repeat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
import sample_models

from pipelines.config import DatasetConfig, EvaluationConfig, Task
from pipelines.errors import DataError
from pipelines.training.refits import Recipe, refit, spread_of_more_rows

N_REFITS = 4


def _config(task: Task) -> DatasetConfig:
    config = sample_models.config(task, max_iterations=8, max_epochs=1)
    return config.model_copy(update={"evaluation": EvaluationConfig(refits=N_REFITS)})


def _rows(n: int, seed: int, task: Task) -> pa.Table:
    rows = sample_models.rows(n, seed, task=task)
    names = pa.array([f"2024-01-01|{number}" for number in range(n)])
    return rows.append_column("row_id", names).append_column("partition_key", pa.repeat("2024-01-01", n))


def _predictions(recipe: Recipe, task: Task = "binary") -> list[np.ndarray]:
    train, valid = _rows(400, 1, task), _rows(150, 2, task)
    sample = _rows(50, 3, task)
    return [predict(sample) for predict in refit(train, valid, recipe, config=_config(task))]


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("candidate", sample_models.CANDIDATES)
def test_each_model_is_another_and_a_repeat_gives_the_same(candidate: str, task: Task) -> None:
    recipe = Recipe(candidate, {}, seed=7)
    first, again = _predictions(recipe, task), _predictions(recipe, task)
    assert len(first) == N_REFITS
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert len({guess.tobytes() for guess in first}) == N_REFITS


def test_the_recipes_hyperparameters_are_those_that_are_fitted() -> None:
    # A model's description holds whole numbers as floats.
    plain, shallow = (
        _predictions(Recipe("hist_gradient_boosting", parameters, seed=7))
        for parameters in ({}, {"max_leaf_nodes": 4.0})
    )
    assert all((one != other).any() for one, other in zip(plain, shallow, strict=True))


def test_models_of_more_rows_differ_less() -> None:
    assert spread_of_more_rows(500) == spread_of_more_rows(10_000) == 1.0
    assert spread_of_more_rows(160_000) == pytest.approx(0.5)


def test_rows_of_one_class_can_not_be_learned_from() -> None:
    train = _rows(50, 1, "binary")
    same = train.set_column(train.column_names.index("outcome"), "outcome", pa.array(np.zeros(50)))
    recipe = Recipe("linear_model", {}, seed=7)
    with pytest.raises(DataError, match="nothing to tell apart"):
        next(iter(refit(same, _rows(50, 2, "binary"), recipe, config=_config("binary"))))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Return how many rows each model was fitted on, once there are models."""
    from pipelines.training import refits

    sizes: list[int] = []
    fit = refits.fit_candidate

    def count(name: str, train: pa.Table, valid: pa.Table, **options: object) -> object:
        sizes.extend([train.num_rows, valid.num_rows])
        return fit(name, train, valid, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(refits, "fit_candidate", count)
    monkeypatch.setattr(refits, "_MAX_ROWS", 120)
    return lambda: sizes


def test_of_many_rows_a_part_is_used(taken: Callable[[], list[int]]) -> None:
    _predictions(Recipe("linear_model", {}, seed=7))
    assert taken() == [120, 120] * N_REFITS
