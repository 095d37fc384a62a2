"""How much models differ, beside what days make of it: luck of training told from luck of days."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import f as fisher

from pipelines.metrics import measure_model_effect, sure_training_error

N_MODELS, N_DAYS, N_A_DAY = 6, 10, 20
DAYS = np.repeat(np.arange(N_DAYS), N_A_DAY)
N = DAYS.size
Floats = npt.NDArray[np.float64]


def _of_losses(losses: Floats) -> Floats:
    """Return probabilities of three classes by which the log loss of a row of class 0 is its loss."""
    chance = np.exp(-losses)
    return np.column_stack([chance, (1 - chance) / 2, (1 - chance) / 2])


def _losses(random: np.random.Generator, *, between: float) -> Floats:
    """Return the losses of models that differ by days, and ``between`` on all days alike."""
    by_model = between * random.normal(size=(N_MODELS, 1, 1))
    by_day = 0.05 * random.normal(size=(N_MODELS, N_DAYS, 1))
    common = 0.2 * random.normal(size=(1, N_DAYS, N_A_DAY))
    return (3.0 + by_model + by_day + common).reshape(N_MODELS, N)


def test_the_ratio_is_that_of_an_analysis_of_variance_by_hand() -> None:
    losses = _losses(np.random.default_rng(1), between=0.1)
    effect = measure_model_effect(np.zeros(N), [_of_losses(row) for row in losses], DAYS, "multiclass")
    cells = losses.reshape(N_MODELS, N_DAYS, N_A_DAY).mean(axis=2)
    models, days = cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True)
    of_models = N_DAYS * models.var(ddof=1)
    left = ((cells - models - days + cells.mean()) ** 2).sum() / ((N_MODELS - 1) * (N_DAYS - 1))
    assert effect.ratio == pytest.approx(of_models / left, rel=1e-9)
    assert effect.values == pytest.approx(-models[:, 0])
    assert effect.standard_deviation == pytest.approx(models.std(ddof=1))


@pytest.mark.parametrize(
    ("between", "lowest", "highest"),
    [
        pytest.param(0.0, 0.85, 1.3, id="days-explain-all"),
        pytest.param(0.05, 8.0, 14.0, id="as-much-on-all-days"),
    ],
)
def test_the_ratio_tells_what_days_do_not_explain(between: float, lowest: float, highest: float) -> None:
    ratios = []
    for seed in range(60):
        losses = _losses(np.random.default_rng(seed), between=between)
        guesses = [_of_losses(row) for row in losses]
        ratios.append(measure_model_effect(np.zeros(N), guesses, DAYS, "multiclass").ratio)
    assert lowest < np.mean(ratios) < highest


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_one_model_that_is_better_on_every_day_raises_the_ratio_in_every_task(task: str) -> None:
    random = np.random.default_rng(3)
    score = random.normal(size=N)
    target = (score + random.normal(size=N) > 0).astype(float) if task == "binary" else score
    guesses = [score + 2.0 * random.normal(size=N) for _ in range(N_MODELS)]
    alike = measure_model_effect(target, guesses, DAYS, task)
    unlike = measure_model_effect(target, [score, *guesses[1:]], DAYS, task)
    assert unlike.ratio > 4 * alike.ratio
    assert unlike.values[0] == max(unlike.values)


@pytest.mark.parametrize(
    ("target", "units"),
    [
        pytest.param(np.zeros(N), DAYS, id="one-class"),
        pytest.param(np.arange(N) % 2, np.zeros(N), id="one-day"),
        pytest.param(np.full(N, math.nan), DAYS, id="nothing-known"),
    ],
)
def test_what_is_not_defined_is_nan_and_adds_nothing(
    target: npt.NDArray[np.float64], units: npt.NDArray[np.int64]
) -> None:
    guesses = list(np.random.default_rng(0).random((N_MODELS, N)))
    effect = measure_model_effect(target, guesses, units, "binary")
    assert math.isnan(effect.ratio)
    assert sure_training_error(0.1, effect.ratio, n_models=N_MODELS, n_units=N_DAYS) == 0.0


def test_models_that_are_all_the_same_differ_by_nothing() -> None:
    guess = np.random.default_rng(0).random(N)
    assert measure_model_effect(np.arange(N) % 2, [guess] * N_MODELS, DAYS, "binary").ratio == 1.0


def test_what_days_do_not_explain_is_told_by_the_lower_bound_of_the_ratio() -> None:
    bound = float(fisher.ppf(0.99, 3, 3 * 13))
    found = sure_training_error(0.02, 6.0, n_models=4, n_units=14)
    assert found == pytest.approx(math.sqrt(2 * (6.0 / bound - 1) * 0.02**2 / 6.0))
    # Were the ratio known, two such models would differ by all that days don't explain.
    assert found < math.sqrt(2 * (6.0 - 1) * 0.02**2 / 6.0)


@pytest.mark.parametrize(
    ("ratio", "n_models", "n_units"),
    [
        pytest.param(math.nan, 12, 14, id="no-ratio"),
        pytest.param(0.0, 12, 14, id="no-difference"),
        pytest.param(1.5, 12, 14, id="perhaps-days-alone"),
        pytest.param(9.0, 1, 14, id="one-model"),
        pytest.param(9.0, 12, 1, id="one-day"),
    ],
)
def test_where_nothing_is_sure_nothing_is_added(ratio: float, n_models: int, n_units: int) -> None:
    assert sure_training_error(0.02, ratio, n_models=n_models, n_units=n_units) == 0.0
