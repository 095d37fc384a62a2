"""Groups of rows: every row in one group of a column, and gaps that are more than luck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipelines.metrics import declared_slices, measure_gaps, measure_slices, slice_column

N = 1_200
RANDOM = np.random.default_rng(0)
DAYS = np.repeat(np.arange(12), 100)


@pytest.mark.parametrize(
    ("column", "groups"),
    [
        pytest.param(pa.array(np.arange(N) / N), 4, id="number-by-quarters"),
        pytest.param(pa.array(np.arange(N) % 3), 3, id="few-numbers-are-levels"),
        pytest.param(pa.array([None, "a", "b"] * 400), 3, id="text-with-nulls"),
        pytest.param(pa.array([None if n % 2 else n / N for n in range(N)]), 5, id="number-with-nulls"),
        pytest.param(pa.array([f"l{n % 24}" for n in range(N)]), 21, id="many-levels-have-others"),
        pytest.param(pa.array([bool(n % 2) for n in range(N)]), 2, id="boolean"),
        pytest.param(
            pa.array([datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(N)]), 4, id="time"
        ),
        pytest.param(pa.array(["one"] * N), 0, id="constant-is-no-slice"),
        pytest.param(pa.array([None] * N, pa.float64()), 0, id="all-null"),
    ],
)
def test_each_row_is_in_one_group(column: pa.Array, groups: int) -> None:
    found = slice_column(pa.chunked_array([column]), "c", min_rows=1)
    assert len(found) == groups
    if groups:
        assert (np.sum([part.rows for part in found], axis=0) == 1).all()
        assert len({part.group for part in found}) == groups


def test_small_groups_and_unknown_columns_are_left_out() -> None:
    table = pa.table({"c": ["rare"] * 10 + ["often"] * 190 + ["other"] * 200})
    assert [part.name for part in declared_slices(table, ["c", "no"])] == ["c = other", "c = often"]


def groups_of(seed: int, *, worse: float) -> tuple[np.ndarray, np.ndarray, pa.Table]:
    """Return targets, predictions and two groups, in one of which the model knows less."""
    random = np.random.default_rng(seed)
    group = np.arange(N) % 2
    odds = random.normal(0, 1.5, N)
    target = (random.random(N) < 1 / (1 + np.exp(-odds))).astype(float)
    known = odds + worse * group * random.normal(0, 3, N)
    return target, 1 / (1 + np.exp(-known)), pa.table({"g": np.array(["a", "b"])[group]})


def test_a_group_in_which_the_model_knows_less_has_a_gap() -> None:
    target, guess, table = groups_of(1, worse=1.0)
    slices = declared_slices(table, ["g"])
    values = {part.group: part.value for part in measure_slices(slices, target, guess, "binary")}
    gap = measure_gaps(slices, target, guess, DAYS, "binary")[0]
    assert (gap.column, gap.measure, gap.lowest, gap.highest) == ("g", "auc", "b", "a")
    assert gap.gap.value == pytest.approx(values["a"] - values["b"])
    assert gap.gap.lower > 0.05


def test_luck_makes_no_gap() -> None:
    lowers = []
    for seed in range(60):
        target, guess, table = groups_of(seed, worse=0.0)
        gaps = measure_gaps(declared_slices(table, ["g"]), target, guess, DAYS, "binary")
        lowers += [gap.gap.lower for gap in gaps]
    assert np.mean(np.array(lowers) > 0.01) <= 0.1


def test_the_bias_of_a_regression_is_in_standard_deviations() -> None:
    target = np.random.default_rng(2).normal(0, 50, N)
    group = np.arange(N) % 2
    slices = declared_slices(pa.table({"g": group}), ["g"])
    gaps = measure_gaps(slices, target, target + 25 * group, DAYS, "regression")
    assert next(gap.gap.value for gap in gaps if gap.measure == "bias") == pytest.approx(0.5, abs=0.05)


def test_predictions_that_are_no_numbers_have_no_gap() -> None:
    target, guess, table = groups_of(1, worse=0.0)
    assert measure_gaps(declared_slices(table, ["g"]), target, guess * np.nan, DAYS, "binary") == []
