"""What each feature moves: SHAP values, through nothing but the model's own predictions."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.evaluation.holdout import Floats, Holdout, Predict
from pipelines.records import FeatureImportance, Importance

# Predictions and cells of all rows together: a table of many features is explained by fewer rows.
_MAX_PREDICTIONS, _MAX_CELLS = 200_000, 50_000_000
_MAX_BACKGROUND, _MIN_BACKGROUND, _MIN_ROWS = 25, 5, 2
_UNITS = {
    "binary": "probability",
    "multiclass": "probability, over all classes",
    "regression": "the target's unit",
}


def shap_importance(
    holdout: Holdout, seen: pa.Table, predict: Predict, *, n_rows: int, seed: int = 0
) -> tuple[Importance | None, str]:
    """Explain a few held-out rows against a few that the model was made from.

    Each row is walked to from each background row, one feature at a time, in a random order and back (the
    permutations of SHAP). The model is only ever asked to predict, so that all families are explained alike.

    Parameters
    ----------
    seen : pyarrow.Table
        Features of rows that the model was made from; at most 25 are the background.
    n_rows : int
        How many held-out rows to explain at most; 0 explains nothing.
    seed : int
        The same rows and seed give the same values.

    Returns
    -------
    Importance or None
        None where nothing was explained.
    str
        Why not; else empty.

    References
    ----------
    .. [1] Lundberg & Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017.
    """
    names = holdout.config.features.columns
    if not n_rows:
        return None, "evaluation.explained_rows is 0"
    n_steps = 2 * len(names) + 1
    n_background = min(seen.num_rows, max(_MIN_BACKGROUND, min(_MAX_BACKGROUND, 2_000 // len(names))))
    n_predictions = n_steps * max(n_background, 1)
    n_bearable = min(_MAX_PREDICTIONS // n_predictions, _MAX_CELLS // (n_predictions * len(names)))
    if n_bearable < _MIN_ROWS:
        return None, f"{len(names)} features are too many to walk through one by one"
    explained = holdout.spread(min(n_rows, n_bearable)).rows.select(list(names))
    background = _spread(seen.select(list(names)), n_background)
    if not explained.num_rows or not background.num_rows:
        return None, "there are no rows to explain, or none to explain them against"
    values = _shap_values(explained, background, predict, seed)
    importance = Importance(
        method="SHAP by permutations, through the scorer",
        unit=_UNITS[holdout.task],
        n_rows=explained.num_rows,
        n_background=background.num_rows,
        features=_features(names, values),
    )
    return importance, ""


def _shap_values(explained: pa.Table, background: pa.Table, predict: Predict, seed: int) -> Floats:
    """Return the SHAP values, shape (n, n_features), or (n, n_features, K) of classes.

    The library mixes rows as it would mix numbers. What it is given are the rows' places, so that a cell may
    be anything: a number, a text, nothing.
    """
    both = pa.concat_tables([background, explained], promote_options="permissive").combine_chunks()
    places = np.tile(np.arange(both.num_rows, dtype=np.float64)[:, None], (1, both.num_columns))

    def model(mixed: Floats) -> Floats:
        cells = [
            column.take(pa.array(place.astype(np.int64)))
            for column, place in zip(both.columns, mixed.T, strict=True)
        ]
        return predict(pa.table(cells, schema=both.schema))

    shap = _library()
    n_background = background.num_rows
    masker = shap.maskers.Independent(places[:n_background], max_samples=n_background)
    # The library shuffles by numpy's common source of chance: it is given back as it was.
    state = np.random.get_state()
    try:
        explainer = shap.explainers.Permutation(model, masker, seed=seed)
        found = explainer(places[n_background:], max_evals=2 * both.num_columns + 1, silent=True)
    finally:
        np.random.set_state(state)
    return np.asarray(found.values, dtype=np.float64)


def _library() -> ModuleType:
    """Return shap. Its loops are short here: to compile them takes longer than to run them as they are."""
    settings: Any = importlib.import_module("numba").config
    before = settings.DISABLE_JIT
    settings.DISABLE_JIT = True
    try:
        with warnings.catch_warnings():
            # It imports its plots, which we don't draw, and they call what Matplotlib will do without.
            warnings.simplefilter("ignore")
            return importlib.import_module("shap")
    finally:
        settings.DISABLE_JIT = before


def _features(names: Sequence[str], values: Floats) -> tuple[FeatureImportance, ...]:
    sizes = np.abs(values).mean(axis=0)
    sizes = sizes.sum(axis=1) if sizes.ndim == 2 else sizes
    total = float(sizes.sum())
    found = [
        FeatureImportance(column=name, value=float(size), share=float(size / total) if total > 0 else 0.0)
        for name, size in zip(names, sizes, strict=True)
    ]
    return tuple(sorted(found, key=lambda feature: -feature.value))


def _spread(table: pa.Table, at_most: int) -> pa.Table:
    n = min(table.num_rows, at_most)
    return table.take(pa.array(np.linspace(0, max(table.num_rows - 1, 0), n).astype(np.int64)))
