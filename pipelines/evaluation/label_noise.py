"""How many labels may be wrong, by models that never saw the label that they are held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.evaluation.holdout import Floats, Integers
from pipelines.features.encoding import Encoding, encode
from pipelines.features.target import class_names
from pipelines.records import LabelNoise
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN

_MAX_ROWS, _MIN_ROWS = 20_000, 200
_N_FOLDS = 3
_MAX_CELLS, _MAX_COLUMNS = 1_000_000, 200
# Trees of all classes together.
_N_TREES, _LEAST_ROUNDS = 60, 8
_SUREST_SHARE, _MIN_SUREST = 0.02, 50
_N_SUSPECTS = 20
# A residual so many robust standard deviations off is an outlier; of normal ones 1 in 500 million is.
_OUTLIER = 6.0
_N_BANDS = 10


def estimate_label_noise(
    seen: pa.Table, config: DatasetConfig, encoding: Encoding, *, seed: int = 0
) -> tuple[LabelNoise | None, str]:
    """Estimate the share of wrong labels among the rows that a model is made from.

    Small boosted trees are fitted three times, each time without a third of the days (of the rows, where
    there are fewer than three days), which they then predict. Of classes, confident learning counts the rows
    that are surer to be of another class than the rows of that class are on average. Of a regression, the
    residuals are held against those of rows with like predictions.

    Parameters
    ----------
    seen : pyarrow.Table, shape (n, any)
        ``row_id``, ``partition_key``, the features and the target; at most 20,000 rows are looked at, evenly
        spread, and fewer of a wide table.
    seed : int
        The same rows and seed give the same estimate.

    Returns
    -------
    LabelNoise or None
        None where it can't be told.
    str
        Why not; else empty.

    References
    ----------
    .. [1] Northcutt, Jiang & Chuang, Confident Learning, JAIR 70, 2021.
    """
    n_columns = max(1, len(encoding.numeric) + len(encoding.categorical))
    if n_columns > _MAX_COLUMNS * 10:
        return None, f"{n_columns} features are too many"
    rows = _spread(seen, min(_MAX_ROWS, max(_MIN_ROWS, _MAX_CELLS // n_columns)))
    target = np.asarray(rows[config.target].to_numpy(), dtype=np.float64)
    if target.size < _MIN_ROWS:
        return None, f"{target.size} rows are too few; it takes {_MIN_ROWS}"
    fold = _folds(rows)
    n_classes = len(class_names(config))
    present = [np.unique(target[fold != left_out]).size for left_out in range(_N_FOLDS)]
    if n_classes and min(present) < 2:
        return None, "some days without the others hold one class only"
    guess = _cross_fitted(_matrix(rows, encoding), target, fold, n_classes=n_classes, seed=seed)
    row_ids = rows[ROW_KEY]
    if not n_classes:
        return _outliers(target, guess, row_ids), ""
    return _confident(target.astype(np.int64), guess, row_ids, class_names(config)), ""


def _folds(rows: pa.Table) -> Integers:
    """Return each row's fold: rows of one day are in one, neighbouring days in different ones."""
    days = np.unique(rows[PARTITION_COLUMN].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[
        1
    ]
    enough = int(days.max()) + 1 >= _N_FOLDS
    return np.asarray((days if enough else np.arange(days.size)) % _N_FOLDS, dtype=np.int64)


def _matrix(rows: pa.Table, encoding: Encoding) -> Floats:
    """Return the features as numbers without gaps: a missing number lies below all others."""
    encoded = encode(rows, encoding)
    numeric = np.where(np.isfinite(encoded.numeric), encoded.numeric, np.nan)
    lowest: Floats = np.nanmin(np.vstack([numeric, np.zeros(numeric.shape[1])]), axis=0)
    filled = np.where(np.isnan(numeric), lowest - 1 - np.abs(lowest), numeric)
    return np.asarray(np.clip(np.hstack([filled, encoded.codes.astype(np.float64)]), -1e300, 1e300))


def _cross_fitted(matrix: Floats, target: Floats, fold: Integers, *, n_classes: int, seed: int) -> Floats:
    """Return what models that did not see a row say of it: shape (n, K), of a regression (n,)."""
    guess = np.zeros((target.size, n_classes) if n_classes else target.size)
    for left_out in range(_N_FOLDS):
        held = fold == left_out
        if not held.any():
            continue
        model = _fit(matrix[~held], target[~held], n_classes=n_classes, seed=seed)
        if not n_classes:
            guess[held] = model.predict(matrix[held])
            continue
        guess[np.ix_(held, model.classes_.astype(np.int64))] = model.predict_proba(matrix[held])
    return guess


def _fit(matrix: Floats, target: Floats, *, n_classes: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    kind = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
    n_a_round = n_classes if n_classes > 2 else 1
    model = kind(
        max_iter=max(_LEAST_ROUNDS, _N_TREES // n_a_round),
        max_leaf_nodes=15,
        min_samples_leaf=20,
        max_features=0.5,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # The last bits of the sums depend on the number of threads.
    with threadpool_limits(limits=1):
        return model.fit(matrix, target)


def _confident(
    label: Integers, chances: Floats, row_ids: pa.ChunkedArray, names: tuple[str, ...]
) -> LabelNoise:
    own = chances[np.arange(label.size), label]
    n_classes = chances.shape[1]
    counts = np.bincount(label, minlength=n_classes)
    sums = np.bincount(label, weights=own, minlength=n_classes)
    # As sure as the rows of a class are on average; nobody is that sure of a class without rows.
    sure = np.divide(sums, counts, out=np.full(n_classes, np.inf), where=counts > 0)
    is_sure = chances >= sure
    likely = np.where(is_sure, chances, -1.0).argmax(axis=1)
    counted = is_sure.any(axis=1)
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (label[counted], likely[counted]), 1.0)
    found = joint.sum(axis=1)
    wrong = np.divide(found - np.diag(joint), found, out=np.zeros(n_classes), where=found > 0)
    is_suspect = counted & (likely != label)
    margin = np.where(is_suspect, chances[np.arange(label.size), likely] - own, -np.inf)
    return LabelNoise(
        method="confident learning",
        share=float((wrong * counts).sum() / label.size),
        surest_contradicted=_surest_contradicted(label, chances),
        n_rows=int(label.size),
        n_folds=_N_FOLDS,
        by_class={name: float(share) for name, share, n in zip(names, wrong, counts, strict=True) if n},
        suspects=_worst(margin, row_ids),
    )


def _surest_contradicted(label: Integers, chances: Floats) -> float | None:
    n = int(_SUREST_SHARE * label.size)
    if n < _MIN_SUREST:
        return None
    surest = np.argsort(-chances.max(axis=1), kind="stable")[:n]
    return float((chances[surest].argmax(axis=1) != label[surest]).mean())


def _outliers(target: Floats, guess: Floats, row_ids: pa.ChunkedArray) -> LabelNoise:
    residual = target - guess
    distance = np.zeros(target.size)
    for rows in np.array_split(np.argsort(guess, kind="stable"), _N_BANDS):
        middle = np.median(residual[rows])
        spread = 1.4826 * float(np.median(np.abs(residual[rows] - middle)))
        if spread > 0:
            distance[rows] = np.abs(residual[rows] - middle) / spread
    is_outlier = distance > _OUTLIER
    return LabelNoise(
        method="residual outliers",
        share=float(is_outlier.mean()),
        surest_contradicted=None,
        n_rows=int(target.size),
        n_folds=_N_FOLDS,
        suspects=_worst(np.where(is_outlier, distance, -np.inf), row_ids),
    )


def _worst(badness: npt.NDArray[np.float64], row_ids: pa.ChunkedArray) -> tuple[str, ...]:
    order = np.argsort(-badness, kind="stable")[:_N_SUSPECTS]
    worst = order[np.isfinite(badness[order])]
    return tuple(str(row) for row in row_ids.take(pa.array(worst)).to_pylist())


def _spread(table: pa.Table, at_most: int) -> pa.Table:
    n = min(table.num_rows, at_most)
    return table.take(pa.array(np.linspace(0, max(table.num_rows - 1, 0), n).astype(np.int64)))
