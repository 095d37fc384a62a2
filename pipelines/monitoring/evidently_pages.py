"""Evidently's reports: the same columns, methods and thresholds that the verdict was made with."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import EngineError
from pipelines.monitoring.drift import MISSING_SHARE
from pipelines.monitoring.reference import PREDICTION
from pipelines.records import ColumnDrift

os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently looks at it while it is imported
with warnings.catch_warnings():
    # Evidently and what it imports use what NumPy and Litestar have deprecated; nothing of ours.
    warnings.simplefilter("ignore")
    from evidently import (
        BinaryClassification,
        DataDefinition,
        Dataset,
        MulticlassClassification,
        Regression,
        Report,
    )
    from evidently.presets import DataDriftPreset
    from evidently.presets.classification import ClassificationQuality
    from evidently.presets.regression import RegressionQuality

# More rows make the page slower to build and to open, and show nothing more.
_MAX_REFERENCE_ROWS = 20_000
_MAX_CURRENT_ROWS = 10_000
_UNSAFE = str.maketrans({"<": "‹", ">": "›", "&": "＆", "\u2028": " ", "\u2029": " "})
# A report's own name, and the version 7 UUIDs that its widgets go by.
_RANDOM_ID = re.compile(
    r"metric_[0-9a-f]{32}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b"
)


@dataclass(frozen=True)
class EvidentlyPage:
    """One report: a page that opens on its own, and its content as plain JSON."""

    html: str
    content: dict[str, Any]


def drift_page(
    reference: pa.Table, current: pa.Table, *, columns: Iterable[ColumnDrift], alarm_fraction: float
) -> EvidentlyPage | None:
    """Let Evidently show how far each feature moved.

    Parameters
    ----------
    reference, current : pyarrow.Table
        With the features among their columns.
    columns : iterable of ColumnDrift
        The verdict; its value distances say which columns, methods and thresholds to take.

    Returns
    -------
    EvidentlyPage or None
        None where no column has values to compare.

    Raises
    ------
    EngineError
        If Evidently fails.
    """
    shown = {drift.column: drift for drift in columns if drift.method != MISSING_SHARE}
    if not shown:
        return None
    names = {name: _safe(name) for name in shown}
    numeric = [names[name] for name in shown if shown[name].method == "wasserstein"]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[safe for safe in names.values() if safe not in numeric],
    )
    preset = DataDriftPreset(
        columns=list(names.values()),
        drift_share=alarm_fraction,
        per_column_method={names[name]: drift.method for name, drift in shown.items()},
        per_column_threshold={names[name]: drift.threshold for name, drift in shown.items()},
    )
    before = _frame(_thinned(reference.select(list(names)), _MAX_REFERENCE_ROWS), set(numeric))
    now = _frame(_thinned(current.select(list(names)), _MAX_CURRENT_ROWS), set(numeric))
    return _render(preset, before, now, definition)


def performance_page(reference: pa.Table, cohort: pa.Table, *, config: DatasetConfig) -> EvidentlyPage | None:
    """Let Evidently show how the model did on a cohort, beside its holdout.

    Parameters
    ----------
    reference, cohort : pyarrow.Table
        ``prediction`` and the target; rows that lack one of them are left out.

    Returns
    -------
    EvidentlyPage or None
        None where there are no rows, or (binary) where only one class occurs on either side.

    Raises
    ------
    EngineError
        If Evidently fails.
    """
    before = _scored(_thinned(reference, _MAX_REFERENCE_ROWS), config)
    now = _scored(_thinned(cohort, _MAX_CURRENT_ROWS), config)
    n_least = 1 if config.task == "regression" else 2
    if min(before["target"].nunique(), now["target"].nunique()) < n_least:
        return None
    if config.task == "regression":
        definition = DataDefinition(
            numerical_columns=["prediction", "target"],
            regression=[Regression(target="target", prediction="prediction")],
        )
        return _render(RegressionQuality(), before, now, definition)
    if config.task == "multiclass":
        definition = DataDefinition(
            categorical_columns=["target", "prediction"],
            classification=[MulticlassClassification(target="target", prediction_labels="prediction")],
        )
        return _render(ClassificationQuality(conf_matrix=True), before, now, definition)
    definition = DataDefinition(
        numerical_columns=["prediction"],
        categorical_columns=["target"],
        classification=[BinaryClassification(target="target", prediction_probas="prediction", pos_label=1)],
    )
    return _render(ClassificationQuality(conf_matrix=True, pr_curve=True), before, now, definition)


def _render(
    preset: Any, reference: pd.DataFrame, current: pd.DataFrame, definition: DataDefinition
) -> EvidentlyPage:
    with warnings.catch_warnings():
        # A constant column has no correlation with any other; Evidently divides by its spread.
        warnings.simplefilter("ignore")
        try:
            snapshot = Report([preset], include_tests=False).run(
                Dataset.from_pandas(current, data_definition=definition),
                Dataset.from_pandas(reference, data_definition=definition),
            )
            return EvidentlyPage(
                html=_with_stable_ids(snapshot.get_html_str(as_iframe=False)),
                # A measure that is not defined is null: NaN is no JSON.
                content=json.loads(snapshot.json(), parse_constant=lambda _: None),
            )
        except Exception as error:
            raise EngineError(f"Evidently can't draw its report: {type(error).__name__}: {error}") from error


def _with_stable_ids(html: str) -> str:
    """Return the page with its random identifiers numbered, so that a repeat writes the same page."""
    seen: dict[str, str] = {}
    return _RANDOM_ID.sub(lambda found: seen.setdefault(found[0], f"holdfast_{len(seen)}"), html)


def _safe(text: str) -> str:
    """Return ``text`` without what could end a script or start a tag: Evidently prints it raw."""
    return text.translate(_UNSAFE)


def _thinned(table: pa.Table, limit: int) -> pa.Table:
    """Return at most ``limit`` rows, spread evenly over the table."""
    if table.num_rows <= limit:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, limit).astype(np.int64))


def _frame(table: pa.Table, numeric: set[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table[name].to_pandas()
        safe = _safe(name)
        if safe in numeric:
            columns[safe] = pd.to_numeric(values).astype("float64")
        else:
            columns[safe] = values.astype("object").map(lambda value: _safe(str(value)), na_action="ignore")
    return pd.DataFrame(columns)


def _scored(table: pa.Table, config: DatasetConfig) -> pd.DataFrame:
    """Return target and prediction of the rows that have both; of a multiclass task by their names."""
    target = table[config.target].to_pandas().astype("float64")
    if config.task == "multiclass":
        names = dict(enumerate(map(_safe, config.classes)))
        frame = pd.DataFrame(
            {"target": target.map(names), "prediction": table[PREDICTION].to_pandas()}
        ).dropna()
        return frame.astype("object").assign(prediction=frame["prediction"].map(_safe))
    guess = table[PREDICTION].to_pandas().astype("float64")
    frame = pd.DataFrame({"target": target, "prediction": guess}).dropna()
    return frame.astype({"target": "int64"}) if config.task == "binary" else frame
