"""What Evidently's own default rule says of a window: shown beside our verdict, and decides nothing."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import EngineError
from pipelines.monitoring.evidently_report.frames import feature_frames, safe_names
from pipelines.monitoring.evidently_report.library import ColumnType, get_stattest

_log = logging.getLogger(__name__)

# Evidently raises its dataset alarm where so many of the columns drifted, whatever they are.
DEFAULT_DRIFT_SHARE = 0.5


@dataclass(frozen=True)
class EvidentlyDefault:
    """What Evidently's defaults say: the share of columns that drifted, and whether that is an alarm."""

    fraction: float
    is_alarm: bool


def evidently_default(
    reference: pa.Table, current: pa.Table, config: DatasetConfig
) -> EvidentlyDefault | None:
    """Return the verdict of Evidently's default rule on the features; it decides nothing.

    Each column gets the test and the threshold that Evidently picks for it, and the alarm is raised where
    half of the columns drifted. These are the rows that its page shows: 20,000 and 10,000 at most.

    Parameters
    ----------
    reference, current : pyarrow.Table
        With the features of ``config`` among their columns.

    Returns
    -------
    EvidentlyDefault or None
        Over the columns that have values on both sides; None where there are none, or Evidently fails.
    """
    features = config.features
    names = safe_names(features.columns)
    before, now = feature_frames(reference, current, names=names, numeric=features.numeric)
    kinds = ((features.numeric, ColumnType.Numerical), (features.categorical, ColumnType.Categorical))
    try:
        verdicts = [
            _is_drifted(before[names[name]].dropna(), now[names[name]].dropna(), kind)
            for columns, kind in kinds
            for name in columns
        ]
    except EngineError as error:
        _log.warning("%s", error)
        return None
    found = [verdict for verdict in verdicts if verdict is not None]
    if not found:
        return None
    fraction = sum(found) / len(found)
    return EvidentlyDefault(fraction=fraction, is_alarm=fraction >= DEFAULT_DRIFT_SHARE)


def _is_drifted(reference: pd.Series, current: pd.Series, kind: Any) -> bool | None:
    if reference.empty or current.empty:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant column has no spread to divide by
        try:
            test = get_stattest(reference, current, kind, None)
            return bool(test(reference, current, kind, None).drifted)
        except Exception as error:
            raise EngineError(
                f"Evidently's default test fails on {reference.name}: {type(error).__name__}: {error}"
            ) from error
