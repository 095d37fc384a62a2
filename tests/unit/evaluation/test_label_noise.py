"""Labels that were spoilt are estimated, and found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scored_rows

from pipelines.evaluation.label_noise import estimate_label_noise
from pipelines.features.encoding import fit_encoding
from pipelines.records import LabelNoise

CLASSES = ["binary", "multiclass"]


def _clear(task: str, n_days: int = 30) -> pa.Table:
    """Return rows whose label ``x`` decides."""
    rows = scored_rows.rows_of(task, n_days=n_days, rows_a_day=100)
    x = rows["x"].to_numpy()
    target = (x > 0).astype(float) if task == "binary" else np.digitize(x, [-0.5, 0.5]).astype(float)
    return _with_target(rows, 100 * x if task == "regression" else target)


def _with_target(rows: pa.Table, target: np.ndarray) -> pa.Table:  # type: ignore[type-arg]
    return rows.set_column(rows.column_names.index("y"), "y", pa.array(target))


def _spoilt(rows: pa.Table, task: str, share: float) -> tuple[pa.Table, set[str]]:
    random = np.random.default_rng(4)
    wrong = random.random(rows.num_rows) < share
    target = rows["y"].to_numpy()
    other = {"binary": 1 - target, "multiclass": (target + 1) % 3, "regression": target + 5_000}[task]
    ids = np.asarray(rows["row_id"].to_pylist())[wrong]
    return _with_target(rows, np.where(wrong, other, target)), set(ids)


def _estimate(rows: pa.Table, task: str) -> LabelNoise:
    config = scored_rows.config_of(task)
    found, problem = estimate_label_noise(rows, config, fit_encoding(rows, config.features))
    assert problem == ""
    assert found is not None
    return found


@pytest.mark.parametrize("task", CLASSES)
def test_a_tenth_of_wrong_labels_is_estimated_as_about_a_tenth(task: str) -> None:
    clear = _estimate(_clear(task), task)
    spoilt = _estimate(_spoilt(_clear(task), task, 0.1)[0], task)

    assert clear.share < 0.03
    assert 0.06 < spoilt.share < 0.16
    assert clear.surest_contradicted is not None
    assert spoilt.surest_contradicted is not None
    assert clear.surest_contradicted < 0.02 < spoilt.surest_contradicted
    assert set(spoilt.by_class) == set(("0", "1") if task == "binary" else scored_rows.CLASSES)


@pytest.mark.parametrize("task", [*CLASSES, "regression"])
def test_the_suspects_are_the_rows_that_were_spoilt(task: str) -> None:
    rows, wrong = _spoilt(_clear(task), task, 0.02)

    found = _estimate(rows, task)

    assert len(found.suspects) == 20
    assert len(set(found.suspects) & wrong) >= 18


def test_residuals_that_are_far_off_are_counted() -> None:
    rows, wrong = _spoilt(_clear("regression"), "regression", 0.02)

    assert _estimate(rows, "regression").share == pytest.approx(len(wrong) / rows.num_rows, abs=0.01)


def test_the_same_rows_give_the_same_estimate() -> None:
    rows = _clear("binary", n_days=5)

    assert _estimate(rows, "binary") == _estimate(rows, "binary")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        pytest.param(_clear("binary", n_days=1), "100 rows are too few", id="few-rows"),
        pytest.param(_with_target(_clear("binary", n_days=4), np.zeros(400)), "one class", id="one-class"),
    ],
)
def test_where_it_cant_be_told_it_says_why(rows: pa.Table, words: str) -> None:
    config = scored_rows.config_of("binary")

    found, problem = estimate_label_noise(rows, config, fit_encoding(rows, config.features))

    assert found is None
    assert words in problem


def test_columns_without_values_and_with_numbers_beyond_all_numbers_are_borne() -> None:
    rows = _clear("binary", n_days=4)
    odd = np.where(np.arange(400) % 7 == 0, np.inf, np.where(np.arange(400) % 5 == 0, 1e308, np.nan))
    rows = rows.set_column(rows.column_names.index("z"), "z", pa.array(odd))
    rows = rows.set_column(rows.column_names.index("kind"), "kind", pa.nulls(400, pa.string()))

    assert 0 <= _estimate(rows, "binary").share <= 1
