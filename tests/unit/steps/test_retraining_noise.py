"""What luck of training makes of a model, and why it can't always be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sample_models

from pipelines.config import EvaluationConfig, Task
from pipelines.evaluation.holdout import Holdout
from pipelines.records import RetrainingNoise
from pipelines.steps.retraining_noise import measure_retraining_noise
from pipelines.training.refits import Recipe
from pipelines.training.row_split import Examples

DAYS = np.repeat([f"2024-01-{day:02d}" for day in range(1, 7)], 50)
RECIPE = Recipe("hist_gradient_boosting", {}, seed=7)


def _measure(
    task: Task = "binary", *, refits: int = 4, **outcomes: float
) -> tuple[RetrainingNoise | None, str]:
    """Measure on rows of which those of one purpose may all have one outcome."""
    config = sample_models.config(task, max_iterations=8)
    config = config.model_copy(update={"evaluation": EvaluationConfig(refits=refits)})
    tables: dict[str, Any] = {}
    for seed, purpose in enumerate(("train", "valid", "holdout")):
        rows = sample_models.rows(DAYS.size, seed, task=task)
        if purpose in outcomes:
            same = pa.array(np.full(DAYS.size, outcomes[purpose]))
            rows = rows.set_column(rows.column_names.index("outcome"), "outcome", same)
        ids = pa.array([f"{day}|{row}" for row, day in enumerate(DAYS)])
        tables[purpose] = rows.append_column("row_id", ids).append_column("partition_key", pa.array(DAYS))
    holdout = Holdout(tables["holdout"], np.zeros(DAYS.size), DAYS, "days", config)
    return measure_retraining_noise(Examples(**tables), holdout, RECIPE)


@pytest.mark.parametrize(
    ("task", "lowest", "highest"),
    [
        pytest.param("binary", 0.6, 0.95, id="auc"),
        pytest.param("multiclass", 0.5, 1.5, id="log-loss-is-no-less-than-nothing"),
        pytest.param("regression", 5.0, 60.0, id="rmse-is-no-less-than-nothing"),
    ],
)
def test_models_of_one_recipe_differ_in_the_metrics_own_unit(
    task: Task, lowest: float, highest: float
) -> None:
    noise, problem = _measure(task)
    assert problem == ""
    assert noise is not None
    assert len(noise.values) == 4
    assert lowest < min(noise.values) < max(noise.values) < highest
    assert noise.standard_deviation == pytest.approx(np.std(noise.values, ddof=1))
    assert noise.ratio > 0
    assert _measure(task) == (noise, "")


@pytest.mark.parametrize(
    ("refits", "outcomes", "why"),
    [
        pytest.param(0, {}, "evaluation.refits is 0", id="not-asked-for"),
        pytest.param(4, {"train": 1.0}, "nothing to tell apart", id="one-class-to-learn-from"),
        pytest.param(4, {"holdout": 1.0}, "auc by days is not defined", id="one-class-held-out"),
    ],
)
def test_where_it_can_not_be_told_the_reason_is(refits: int, outcomes: dict[str, float], why: str) -> None:
    noise, problem = _measure(refits=refits, **outcomes)
    assert noise is None
    assert why in problem


def test_too_few_models_tell_nothing() -> None:
    with pytest.raises(ValueError, match="3 models tell too little: at least 4, or 0 for none"):
        EvaluationConfig(refits=3)
