"""What Holdfast does with each dataset: the whole of ``params.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.base import RESERVED_COLUMNS, Closed, ColumnType, Fraction, Name, Task
from pipelines.config.evaluation import EvaluationConfig
from pipelines.config.explanations import nearest
from pipelines.config.promotion import PromotionConfig
from pipelines.config.sources import SourceConfig
from pipelines.config.training import TrainingConfig
from pipelines.errors import ConfigError

MAX_CLASSES = 100


class FeaturesConfig(Closed):
    """The model's inputs: a point-in-time query, and which of its columns are what."""

    sql: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    history_days: int = Field(default=0, ge=0, le=366)

    @property
    def columns(self) -> tuple[str, ...]:
        """All features, numeric ones first, in the order in which the model takes them."""
        return self.numeric + self.categorical


class QualityConfig(Closed):
    """What validation tolerates beyond the suite itself."""

    max_quarantined_fraction: Fraction = 0.05


class EffectConfig(Closed):
    """The smallest effects that matter, however significant smaller ones may be.

    ``numeric`` in standard deviations of the reference (Wasserstein), ``categorical`` as Jensen-Shannon
    distance, ``missing`` and ``new_levels`` as a difference of shares, ``joint`` as what the AUC of a
    domain classifier has above a half.
    """

    numeric: float = Field(default=0.1, ge=0)
    categorical: float = Field(default=0.05, ge=0)
    missing: Fraction = 0.02
    new_levels: Fraction = 0.02
    joint: Annotated[float, Field(ge=0, le=0.5)] = 0.05


class MonitoringConfig(Closed):
    """When a difference is called drift, and when it is worth a page.

    Parameters
    ----------
    window_days : int
        How many nights are judged together.
    persistence_nights, persistence_window : int
        A warning counts once that many of the last nights had it; a critical alarm counts at once.
    false_discovery_rate : float
        Of what is called drift on a calm night, over all columns together.
    match : str
        What of the reference a window is held against: all of it, the days of the same weekdays, or of the
        same season (within ``season_days`` of the day of the year).
    max_loss : float or None
        The loss of the primary metric that is worth a page: absolute for AUC, relative for the errors of
        regressions and multiclass tasks. None: 0.02 and 0.1.
    """

    window_days: int = Field(default=7, ge=1)
    persistence_nights: int = Field(default=2, ge=1)
    persistence_window: int = Field(default=3, ge=1)
    false_discovery_rate: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.01
    min_effect: EffectConfig = EffectConfig()
    match: Literal["none", "weekday", "season"] = "none"
    season_days: int = Field(default=45, ge=1, le=182)
    max_loss: float | None = Field(default=None, gt=0)
    reference_rows: int = Field(default=20_000, ge=100)


class RetrainingConfig(Closed):
    """How often drift may cost a training.

    Parameters
    ----------
    cooldown_days : int
        No retraining sooner after the last one.
    max_per_30_days : int
        The budget.
    calm_nights : int
        An episode closes after so many calm nights in a row (hysteresis).
    breaker_refusals : int
        After so many refused challengers in a row retraining stops until a person switches it on again.
    """

    cooldown_days: int = Field(default=7, ge=0)
    max_per_30_days: int = Field(default=4, ge=1)
    calm_nights: int = Field(default=3, ge=1)
    breaker_refusals: int = Field(default=3, ge=1)


class DatasetConfig(Closed):
    """All that Holdfast needs to know of one dataset.

    Parameters
    ----------
    key : tuple of str
        The columns that tell rows apart. Empty: a row is known by its cells.
    event_time : str or None
        A column or a DuckDB expression; its date is the row's partition. None: the table has no time,
        and a night's partition is all that the source holds for that night.
    classes : tuple of str
        The target's values as text: ``(negative, positive)`` of a binary task, all of a multiclass one.
        A binary target of 0 and 1 needs none.
    label_delay_days : int
        Labels younger than this are not looked at: they have not come, or leak.
    label_maturity_days : int or None
        The age at which a night's labels are as good as complete; only then its performance can alarm.
        None: ``label_delay_days``.
    """

    enabled: bool = True
    description: str
    owner: str = "ml-platform"
    schedule: str = "0 2 * * *"
    task: Task
    source: SourceConfig
    key: tuple[str, ...] = ()
    event_time: str | None = None
    columns: dict[str, ColumnType] = Field(min_length=1)
    target: str
    classes: tuple[str, ...] = ()
    labels: dict[str, ColumnType] = Field(min_length=1)
    label_delay_days: int = Field(default=1, ge=1)
    label_maturity_days: int | None = Field(default=None, ge=1)
    leaks: tuple[str, ...] = ()
    features: FeaturesConfig
    quality: QualityConfig = QualityConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    retraining: RetrainingConfig = RetrainingConfig()

    @field_validator("classes", mode="before")
    @classmethod
    def _write_classes_as_text(cls, content: Any) -> Any:
        if not isinstance(content, list | tuple):
            return content
        if any(isinstance(value, bool) for value in content):
            raise ValueError(
                "put classes such as yes, no, true and false in quotes: YAML reads them as booleans"
            )
        return [str(value) if isinstance(value, int | float) else value for value in content]

    @model_validator(mode="after")
    def _columns_agree(self) -> DatasetConfig:
        if self.label_maturity_days is not None and self.label_maturity_days < self.label_delay_days:
            raise ValueError(
                "`label_maturity_days` is less than `label_delay_days`: nothing is known by then"
            )
        if self.target not in self.labels:
            raise ValueError(f"target `{self.target}` is not among `labels` ({', '.join(self.labels)})")
        self._require_classes()
        is_multiclass = self.task == "multiclass"
        reserved = RESERVED_COLUMNS | {f"probability_{n}" for n in range(is_multiclass * len(self.classes))}
        if taken := sorted(reserved & {*self.columns, *self.labels, *self.features.columns}):
            raise ValueError(
                f"{', '.join(taken)}: Holdfast adds a column of that name itself; give yours another "
                "(`source.sql` can rename it)"
            )
        if unknown := sorted(set(self.key) - set(self.columns)):
            raise ValueError(f"{', '.join(unknown)}: a key must be one of `columns`")
        if both := sorted(set(self.columns) & (set(self.labels) | set(self.leaks))):
            raise ValueError(f"{', '.join(both)}: a label or leak can't be an input column too")
        if leaking := sorted(set(self.features.columns) & (set(self.labels) | set(self.leaks))):
            raise ValueError(f"{', '.join(leaking)}: a label or leak can't be a feature")
        if not self.features.columns:
            raise ValueError("`features` names no numeric and no categorical column")
        self._require_known_slices()
        return self

    @property
    def maturity_days(self) -> int:
        """The age in days at which a night's labels count as complete."""
        return self.label_maturity_days or self.label_delay_days

    def _require_known_slices(self) -> None:
        known = {*self.columns, *self.features.columns}
        for name in (*self.evaluation.slices, *self.evaluation.protected):
            if name not in known:
                raise ValueError(
                    f"`evaluation` names {name!r}, which is neither a feature nor one of `columns`."
                    f"{nearest(name, known)}"
                )

    def _require_classes(self) -> None:
        n_classes = len(set(self.classes))
        if n_classes != len(self.classes):
            raise ValueError("`classes` names a class twice")
        if self.task == "regression" and self.classes:
            raise ValueError("a regression has no `classes`")
        if self.task == "binary" and n_classes not in (0, 2):
            raise ValueError("a binary task has two `classes`: the negative and the positive one")
        if self.task == "multiclass" and not 3 <= n_classes <= MAX_CLASSES:
            raise ValueError(f"a multiclass task names its `classes`, from 3 to {MAX_CLASSES}")


class TrainingRun(Closed):
    """One training: which data, for whom. The trainer fills it in, in the run's own workspace.

    ``training_key`` says which searches are one and the same; without one, none goes on after a kill.
    ``n_trials`` is of a search to repeat: as many as it had, whatever its budget was.
    """

    dataset: str = ""
    first_partition: str = ""
    last_partition: str = ""
    holdout_days: int = 0
    snapshot_digest: str = ""
    seed: int = 0
    training_key: str = ""
    n_trials: int = Field(default=0, ge=0)


class Params(Closed):
    """The whole of ``params.yaml``."""

    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    run: TrainingRun = TrainingRun()

    def dataset(self, name: str) -> DatasetConfig:
        """Return the configuration of dataset ``name``.

        Raises
        ------
        ConfigError
            If there is none, or it is switched off; names the nearest one.
        """
        found = self.datasets.get(name)
        if found is None:
            raise ConfigError(f"params.yaml declares no dataset {name!r}.{nearest(name, self.datasets)}")
        return found

    @property
    def enabled(self) -> dict[str, DatasetConfig]:
        """The datasets that have Dags."""
        return {name: dataset for name, dataset in self.datasets.items() if dataset.enabled}
