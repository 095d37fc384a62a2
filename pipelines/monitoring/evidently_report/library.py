"""Evidently, imported in one place: without telemetry, and without the warnings of what it imports."""

from __future__ import annotations

import os
import warnings

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
    from evidently.legacy.calculations.stattests import StatTest, get_stattest, registry
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset
    from evidently.presets.classification import ClassificationQuality
    from evidently.presets.regression import RegressionQuality

__all__ = [
    "BinaryClassification",
    "ClassificationQuality",
    "ColumnType",
    "DataDefinition",
    "DataDriftPreset",
    "Dataset",
    "MulticlassClassification",
    "Regression",
    "RegressionQuality",
    "Report",
    "StatTest",
    "get_stattest",
    "registry",
]
