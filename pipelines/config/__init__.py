"""Configuration: ``params.yaml`` says what, the environment ``HOLDFAST_*`` says where.

Both are read once, at the edge (:func:`load_params`, :func:`load_settings`), checked, frozen
and passed down. Nothing here reads the environment at import.
"""

from pipelines.config.base import PROJECT_ROOT, RESERVED_COLUMNS, ColumnType, Task
from pipelines.config.datasets import (
    DatasetConfig,
    FeaturesConfig,
    MonitoringConfig,
    Params,
    QualityConfig,
    RetrainingConfig,
    TrainingRun,
)
from pipelines.config.evaluation import EvaluationConfig
from pipelines.config.promotion import PromotionConfig
from pipelines.config.reading import load_params
from pipelines.config.settings import Settings, load_settings
from pipelines.config.sources import PLACEHOLDERS, CsvConfig, SourceConfig
from pipelines.config.training import SearchConfig, TrainingConfig

__all__ = [
    "PLACEHOLDERS",
    "PROJECT_ROOT",
    "RESERVED_COLUMNS",
    "ColumnType",
    "CsvConfig",
    "DatasetConfig",
    "EvaluationConfig",
    "FeaturesConfig",
    "MonitoringConfig",
    "Params",
    "PromotionConfig",
    "QualityConfig",
    "RetrainingConfig",
    "SearchConfig",
    "Settings",
    "SourceConfig",
    "Task",
    "TrainingConfig",
    "TrainingRun",
    "load_params",
    "load_settings",
]
