"""Evidently's reports: they show the verdict that was made, and not one of their own."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import EngineError
from pipelines.monitoring.evidently_report.frames import (
    MAX_CURRENT_ROWS,
    MAX_REFERENCE_ROWS,
    feature_frames,
    safe_names,
    safe_text,
    thinned,
)
from pipelines.monitoring.evidently_report.library import (
    BinaryClassification,
    ClassificationQuality,
    DataDefinition,
    DataDriftPreset,
    Dataset,
    MulticlassClassification,
    Regression,
    RegressionQuality,
    Report,
)
from pipelines.monitoring.evidently_report.verdicts import our_verdicts
from pipelines.monitoring.reference_sketch import PREDICTION
from pipelines.records import ColumnDrift, DriftRecord

# More columns make a page that takes minutes to draw, and that nobody reads to its end.
_MAX_COLUMNS = 100
_OF_NO_VALUES = frozenset({"missing_share", "new_levels"})
_BODY = re.compile(r"<body[^>]*>")
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
    reference: pa.Table, current: pa.Table, *, record: DriftRecord, config: DatasetConfig
) -> EvidentlyPage | None:
    """Let Evidently show how far each feature moved, with our verdict as the outcome of its stat tests.

    A column is shown by what of it drifted (its values, its missing share, its new levels), and by its values
    where nothing did. Evidently's dataset alarm then means that one column drifted by our rule. A line above
    the report gives our verdict in words, and that of Evidently's default rule.

    Parameters
    ----------
    reference, current : pyarrow.Table
        With the features among their columns.
    record : DriftRecord
        The verdict. At most 100 of its columns are shown: what drifted first, then what matters most.

    Returns
    -------
    EvidentlyPage or None
        None where no column has values to compare.

    Raises
    ------
    EngineError
        If Evidently fails.
    """
    judged = _judged(record.columns, config)
    names = safe_names(list(judged)[:_MAX_COLUMNS])
    before, now = feature_frames(reference, current, names=names, numeric=config.features.numeric)
    kept = [name for name, safe in names.items() if before[safe].notna().any() and now[safe].notna().any()]
    if not kept:
        return None
    drifts = {names[name]: judged[name] for name in kept}
    numeric = [names[name] for name in kept if name in config.features.numeric]
    definition = DataDefinition(
        numerical_columns=numeric, categorical_columns=[name for name in drifts if name not in numeric]
    )
    with our_verdicts(drifts) as tests:
        preset = DataDriftPreset(
            columns=list(drifts),
            # One column that drifted by our rule is enough: the rate of false alarms is held by the rule.
            drift_share=1 / len(drifts),
            per_column_method=tests,
            per_column_threshold={name: drift.threshold for name, drift in drifts.items()},
        )
        page = _render(preset, before[list(drifts)], now[list(drifts)], definition)
    return EvidentlyPage(_with_line(page.html, _verdict_line(record, len(kept), len(judged))), page.content)


def _judged(columns: Iterable[ColumnDrift], config: DatasetConfig) -> dict[str, ColumnDrift]:
    """Return the one verdict to show of each feature, those that drifted and matter first."""
    judged: dict[str, ColumnDrift] = {}
    order = sorted(columns, key=lambda drift: (not drift.is_drifted, drift.method in _OF_NO_VALUES))
    for drift in order:
        if drift.column in config.features.columns:
            judged.setdefault(drift.column, drift)
    ranked = sorted(judged.values(), key=lambda drift: (not drift.is_drifted, -drift.impact))
    return {drift.column: drift for drift in ranked}


def _verdict_line(record: DriftRecord, n_shown: int, n_columns: int) -> str:
    verdict = "an alarm, confirmed" if record.is_confirmed else "an alarm" if record.is_alarm else "no alarm"
    text = f"Holdfast's verdict: {verdict}"
    text += f" ({', '.join(record.kinds)}); what to do: {record.action}." if record.kinds else "."
    if record.evidently_fraction is not None:
        text += (
            f" Evidently's default rule on the same rows: {record.evidently_fraction:.0%} of the columns, "
            f"{'an alarm' if record.evidently_alarm else 'no alarm'} (it decides nothing)."
        )
    if n_shown < n_columns:
        text += f" {n_shown} of {n_columns} columns are shown: what drifted and matters most, and has values."
    return text


def _with_line(html: str, text: str) -> str:
    """Return the page with a line of plain text at the top of its body."""
    line = f'<p style="margin:1rem;font:1rem/1.5 system-ui,sans-serif">{escape(text)}</p>'
    return _BODY.sub(lambda found: found[0] + line, html, count=1)


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
    before = _scored(thinned(reference, MAX_REFERENCE_ROWS), config)
    now = _scored(thinned(cohort, MAX_CURRENT_ROWS), config)
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


def _scored(table: pa.Table, config: DatasetConfig) -> pd.DataFrame:
    """Return target and prediction of the rows that have both; of a multiclass task by their names."""
    target = table[config.target].to_pandas().astype("float64")
    if config.task == "multiclass":
        names = dict(enumerate(map(safe_text, config.classes)))
        frame = pd.DataFrame(
            {"target": target.map(names), "prediction": table[PREDICTION].to_pandas()}
        ).dropna()
        return frame.astype("object").assign(prediction=frame["prediction"].map(safe_text))
    guess = table[PREDICTION].to_pandas().astype("float64")
    frame = pd.DataFrame({"target": target, "prediction": guess}).dropna()
    return frame.astype({"target": "int64"}) if config.task == "binary" else frame
