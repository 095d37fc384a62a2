"""Configuration: ``params.yaml`` says what, the environment ``HOLDFAST_*`` says where.

Both are read once, at the edge (:func:`load_params`, :func:`load_settings`), checked, frozen
and passed down. Nothing here reads the environment at import.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipelines.errors import ConfigError

PROJECT_ROOT = Path(__file__).resolve().parent.parent

# What the lake's tables have beside a dataset's own columns.
RESERVED_COLUMNS = frozenset(
    {"row_id", "event_time", "partition_key", "partition_date", "miscast", "prediction"}
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ColumnType = Literal["string", "integer", "float", "boolean", "timestamp", "date"]
Task = Literal["binary", "regression"]


class _Closed(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(_Closed):
    """Where a dataset's rows come from.

    ``tables`` names the files: inside the installed ``package`` (kind ``packaged``), or, as a
    path or glob, below ``HOLDFAST_SOURCES`` or absolute (kind ``csv``, ``parquet``). ``sql`` is
    a DuckDB query over those tables that gives one row an event; without it the only table is
    taken as it is. ``replay_year`` maps every calendar date to the same day of that year.
    """

    kind: Literal["packaged", "csv", "parquet"]
    package: str | None = None
    tables: dict[Name, str] = Field(min_length=1)
    sql: str | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    missing: tuple[str, ...] = ("", "NA")
    replay_year: int | None = None

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> SourceConfig:
        if (self.kind == "packaged") != (self.package is not None):
            raise ValueError("`package` belongs to kind `packaged`, and only there")
        if self.sql is None and len(self.tables) != 1:
            raise ValueError("several `tables` need an `sql` query that joins them")
        return self


class FeaturesConfig(_Closed):
    """The model's inputs: a point-in-time query, and which of its columns are what."""

    sql: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    history_days: int = Field(default=0, ge=0, le=366)

    @property
    def columns(self) -> tuple[str, ...]:
        """All features, numeric ones first, in the order in which the model takes them."""
        return self.numeric + self.categorical


class QualityConfig(_Closed):
    """What validation tolerates beyond the suite itself."""

    max_quarantined_fraction: Fraction = 0.05


class TrainingConfig(_Closed):
    """How challengers are made."""

    candidates: tuple[Literal["hist_gradient_boosting", "embedding_network"], ...] = (
        "hist_gradient_boosting",
        "embedding_network",
    )
    holdout_days: int = Field(default=14, ge=1)
    min_days: int = Field(default=28, ge=2)
    max_epochs: int = Field(default=6, ge=1)
    max_iterations: int = Field(default=200, ge=1)
    n_threads: int = Field(default=1, ge=1)
    seed: int = 20130101


class PromotionConfig(_Closed):
    """What a challenger must show, and whether a person has the last word."""

    approval: Literal["auto", "human"] = "auto"
    min_gain: float = 0.0
    confidence: Fraction = 0.9
    min_baseline_gain: float = 0.02
    approval_timeout_hours: float = Field(default=72.0, gt=0)


class MonitoringConfig(_Closed):
    """When a difference is called drift."""

    window_days: int = Field(default=7, ge=1)
    persistence_nights: int = Field(default=2, ge=1)
    persistence_window: int = Field(default=3, ge=1)
    threshold_margin: float = Field(default=1.1, ge=1.0)
    min_alarm_fraction: Fraction = 0.2
    reference_rows: int = Field(default=20_000, ge=100)


class RetrainingConfig(_Closed):
    """How often drift may cost a training."""

    cooldown_days: int = Field(default=7, ge=0)
    max_per_30_days: int = Field(default=4, ge=1)


class DatasetConfig(_Closed):
    """All that Holdfast needs to know of one dataset."""

    enabled: bool = True
    description: str
    owner: str = "ml-platform"
    schedule: str = "0 2 * * *"
    task: Task
    source: SourceConfig
    key: tuple[str, ...] = Field(min_length=1)
    event_time: str
    columns: dict[str, ColumnType] = Field(min_length=1)
    target: str
    labels: dict[str, ColumnType] = Field(min_length=1)
    label_delay_days: int = Field(default=1, ge=1)
    leaks: tuple[str, ...] = ()
    features: FeaturesConfig
    quality: QualityConfig = QualityConfig()
    training: TrainingConfig = TrainingConfig()
    promotion: PromotionConfig = PromotionConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    retraining: RetrainingConfig = RetrainingConfig()

    @model_validator(mode="after")
    def _columns_agree(self) -> DatasetConfig:
        if self.target not in self.labels:
            raise ValueError(f"target `{self.target}` is not among `labels` ({', '.join(self.labels)})")
        if taken := sorted(RESERVED_COLUMNS & {*self.columns, *self.labels, *self.features.columns}):
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
        return self


class TrainingRun(_Closed):
    """One training: which data, for whom. The trainer fills it in, in the run's own workspace."""

    dataset: str = ""
    first_partition: str = ""
    last_partition: str = ""
    holdout_days: int = 0
    snapshot_digest: str = ""
    seed: int = 0


class Params(_Closed):
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
            raise ConfigError(f"params.yaml declares no dataset {name!r}.{_nearest(name, self.datasets)}")
        return found

    @property
    def enabled(self) -> dict[str, DatasetConfig]:
        """The datasets that have Dags."""
        return {name: dataset for name, dataset in self.datasets.items() if dataset.enabled}


class Settings(_Closed):
    """Where things live; every field is the variable ``HOLDFAST_<FIELD>``.

    The defaults are the embedded stack: all below ``home``, and nothing to set up.
    """

    project: Path
    params: Path
    home: Path
    sources: Path
    lake_uri: str
    ledger_url: str
    mlflow_uri: str
    mlflow_artifacts: str
    dvc_cache: Path
    dvc_remote: str
    reports: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    s3_endpoint_url: str | None = None

    @property
    def storage_options(self) -> dict[str, str]:
        """Options for Delta Lake on S3; credentials come from the environment, by their AWS names."""
        if not self.lake_uri.startswith("s3://"):
            return {}
        options = {"aws_conditional_put": "etag"}
        if self.s3_endpoint_url:
            options |= {"AWS_ENDPOINT_URL": self.s3_endpoint_url}
            if self.s3_endpoint_url.startswith("http://"):
                options |= {"AWS_ALLOW_HTTP": "true"}
        return options


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the ``HOLDFAST_*`` variables and fill in the embedded defaults.

    Parameters
    ----------
    environ : mapping, optional
        The environment to read; the process's own by default.

    Raises
    ------
    ConfigError
        If a variable is unknown (the nearest known one is named) or has a wrong value.
    """
    environ = os.environ if environ is None else environ
    given = {
        key.removeprefix("HOLDFAST_").lower(): value
        for key, value in environ.items()
        if key.startswith("HOLDFAST_") and value
    }
    project = Path(given.get("project", PROJECT_ROOT)).resolve()
    home = Path(given.get("home", project / "var")).resolve()
    defaults: dict[str, Any] = {
        "project": project,
        "params": project / "params.yaml",
        "home": home,
        "sources": home / "sources",
        "lake_uri": str(home / "lake"),
        "ledger_url": f"sqlite:///{home / 'ledger.db'}",
        "mlflow_uri": f"sqlite:///{home / 'mlflow' / 'mlflow.db'}",
        "mlflow_artifacts": str(home / "mlflow" / "artifacts"),
        "dvc_cache": home / "dvc" / "cache",
        "dvc_remote": str(home / "dvc" / "remote"),
        "reports": home / "reports",
    }
    merged = defaults | given | {"project": project, "home": home}
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, "environment", Settings, prefix="HOLDFAST_")) from error


def load_params(path: Path) -> Params:
    """Read and check ``params.yaml``.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, repeats a key, or has an unknown key or a wrong
        value; names the file and the key, and the nearest valid key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"Can't read {path}: {error.strerror}. Set HOLDFAST_PARAMS or restore it."
        ) from error
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_explain(error, path.name, Params)) from error


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _explain(error: ValidationError, where: str, model: type[BaseModel], prefix: str = "") -> str:
    lines = []
    for problem in error.errors()[:5]:
        location = [str(part) for part in problem["loc"]]
        key = prefix + (".".join(location).upper() if prefix else ".".join(location))
        if problem["type"] == "extra_forbidden":
            known = _fields_at(model, location[:-1])
            nearest = _nearest(location[-1], known, prefix)
            lines.append(f"{where}: unknown key `{key}`.{nearest}")
        else:
            lines.append(f"{where}: `{key}`: {problem['msg']}.")
    more = error.error_count() - len(lines)
    return " ".join(lines) + (f" (and {more} more)" if more > 0 else "")


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the field names of the model that ``location`` leads to, through dicts of models."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", None)
        annotation = fields[part].annotation if fields and part in fields else None
        if annotation is None:
            continue  # a key of a dict of models: the model stays
        current = get_args(annotation)[1] if get_origin(annotation) is dict else annotation
    return list(getattr(current, "model_fields", {}))


def _nearest(name: str, known: Any, prefix: str = "") -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        nearest = prefix + (close[0].upper() if prefix else close[0])
        return f" Did you mean `{nearest}`?"
    return f" Known: {', '.join(names[:12])}." if names else ""
