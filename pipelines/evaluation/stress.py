"""How a model bears data that are spoilt: noise, gaps, absurd numbers, levels that nobody knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluation.holdout import Floats, Holdout, Predict
from pipelines.evaluation.intervals import finite
from pipelines.features.encoding import Encoding
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.records import StressResult
from pipelines.records.evaluation import StressKind

_MAX_ROWS, _MAX_CELLS = 5_000, 2_000_000
_NOISES = (0.1, 0.5)
_SHARES = (0.1, 0.5)
_EXTREMES = (10.0, 1e6)
_EXTREME_SHARE = 0.05
_UNSEEN = "\N{REPLACEMENT CHARACTER}"

# Spoils one column: takes it, its name and a source of chance.
_Spoil = Callable[[pa.ChunkedArray, str, np.random.Generator], pa.Array]


def stress_results(
    holdout: Holdout, predict: Predict, encoding: Encoding, *, seed: int = 0
) -> tuple[StressResult, ...]:
    """Spoil the features in one way after another, and measure what is left of the model.

    ``noise`` adds 0.1 and 0.5 standard deviations of the training to each number; ``missing`` takes 10 and
    50 % of all cells away; ``extreme`` puts 5 % of the numbers 10 and a million standard deviations off;
    ``unseen_levels`` replaces 10 and 50 % of the categories by one that training never saw.

    Parameters
    ----------
    holdout : Holdout
        At most 5,000 rows are used, evenly spread; fewer of a table of more than 400 features.
    predict : callable
        The scorer's: takes a table of features.
    seed : int
        The same rows and seed give the same figures.

    Returns
    -------
    tuple of StressResult
        None of a kind that spoils nothing here, such as unseen levels where no feature is a category.
    """
    names = holdout.config.features.columns
    rows = holdout.spread(min(_MAX_ROWS, max(1, _MAX_CELLS // len(names))))
    numeric = tuple(column.name for column in encoding.numeric)
    categorical = tuple(column.name for column in encoding.categorical)
    plan: list[tuple[StressKind, float, tuple[str, ...], _Spoil]] = [
        *[("noise", amount, numeric, _noisy(encoding, amount)) for amount in _NOISES],
        *[("missing", share, names, _missing(share)) for share in _SHARES],
        *[("extreme", amount, numeric, _extreme(encoding, amount)) for amount in _EXTREMES],
        *[("unseen_levels", share, categorical, _unseen(share)) for share in _SHARES],
    ]
    return tuple(
        _result(kind, amount, len(columns), rows, predict(_spoilt(rows, columns, spoil, seed)))
        for kind, amount, columns, spoil in plan
        if columns and rows.rows.num_rows
    )


def _noisy(encoding: Encoding, amount: float) -> _Spoil:
    deviations = {column.name: column.std for column in encoding.numeric}

    def spoil(column: pa.ChunkedArray, name: str, random: np.random.Generator) -> pa.Array:
        noise = random.normal(0, amount * deviations[name], len(column))
        return pc.add(column.cast(pa.float64()), pa.array(noise))

    return spoil


def _extreme(encoding: Encoding, amount: float) -> _Spoil:
    known = {column.name: column for column in encoding.numeric}

    def spoil(column: pa.ChunkedArray, name: str, random: np.random.Generator) -> pa.Array:
        signs = random.choice([-1.0, 1.0], len(column))
        with np.errstate(over="ignore"):  # a number beyond all numbers is extreme too
            absurd = known[name].mean + signs * amount * known[name].std
        return _replaced(column.cast(pa.float64()), pa.array(absurd), _EXTREME_SHARE, random)

    return spoil


def _missing(share: float) -> _Spoil:
    return lambda column, _, random: _replaced(column, pa.scalar(None, column.type), share, random)


def _unseen(share: float) -> _Spoil:
    strange = pa.scalar(_UNSEEN, pa.string())
    return lambda column, _, random: _replaced(column.cast(pa.string()), strange, share, random)


def _spoilt(rows: Holdout, columns: tuple[str, ...], spoil: _Spoil, seed: int) -> pa.Table:
    # A stream of its own: rows that were drawn with the same seed would be answered by their own echo.
    random = np.random.default_rng([seed, 1])
    table = rows.rows.select(list(rows.config.features.columns))
    for name in columns:
        table = table.set_column(table.column_names.index(name), name, spoil(table[name], name, random))
    return table


def _replaced(
    column: pa.ChunkedArray, other: pa.Array | pa.Scalar, share: float, random: np.random.Generator
) -> pa.Array:
    return pc.if_else(pa.array(random.random(len(column)) < share), other, column)


def _result(
    kind: StressKind, amount: float, n_columns: int, rows: Holdout, prediction: Floats
) -> StressResult:
    metric = primary_metric(rows.task)
    before = evaluate_predictions(rows.target, rows.prediction, rows.task)[metric.name]
    after = evaluate_predictions(rows.target, prediction, rows.task)[metric.name]
    is_chance = rows.task == "regression" or bool(((prediction >= 0) & (prediction <= 1)).all())
    return StressResult(
        kind=kind,
        amount=amount,
        n_columns=n_columns,
        metric=finite(after),
        loss=finite(before - after if metric.greater_is_better else after - before),
        moved=finite(float(np.abs(prediction - rows.prediction).mean())),
        is_finite=bool(np.isfinite(prediction).all()) and is_chance,
    )
