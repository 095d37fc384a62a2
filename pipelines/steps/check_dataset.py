"""Try a dataset end to end on some of its nights, away from the lake, and say what is wrong first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config import DatasetConfig, Params, Settings, load_params, load_settings
from pipelines.errors import ConfigError, HoldfastError, SchemaError, ValidationFailed
from pipelines.ingestion.partitions import NO_DAY, QUERY, Reading
from pipelines.ingestion.sources import open_source
from pipelines.records import Record, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps import trial_training
from pipelines.steps.ingest import ingest_range
from pipelines.steps.validate import validate_range

# So many nights are tried at most: enough to learn from, few enough to wait for.
_MAX_NIGHTS = 45
# The night of a table without a time: any will do.
_ANY_NIGHT = "2001-01-02"
_MAX_SHOWN = 3


class StageReport(Record):
    """What one stage gave, and how long it took."""

    stage: str
    is_sound: bool
    said: str
    seconds: float


class DatasetCheck(Record):
    """A trial of a dataset: its stages, and the first thing that is wrong.

    Parameters
    ----------
    nights : tuple of str
        The first and the last night that were tried.
    problem : str or None
        What is wrong, where, and what to do; None if all is well.
    """

    dataset: str
    nights: tuple[str, ...]
    is_sound: bool
    stages: tuple[StageReport, ...]
    problem: str | None = None


Progress = Callable[[StageReport], None]


@dataclass
class _Trial:
    """One trial: a runtime of its own, and what the stages found so far."""

    dataset: str
    runtime: Runtime
    folder: Path
    night: str | None
    days: list[str] = field(default_factory=list)
    training: trial_training.TrialTraining | None = None

    @property
    def config(self) -> DatasetConfig:
        return self.runtime.dataset(self.dataset)

    @property
    def last(self) -> str:
        return self.days[-1]


def check_dataset(
    dataset: str, *, settings: Settings, night: str | None = None, progress: Progress | None = None
) -> DatasetCheck:
    """Read, land, validate, learn, score and monitor some nights of a dataset, in a home of their own.

    Parameters
    ----------
    dataset : str
        As params.yaml names it; it need not be enabled.
    night : str, optional
        The last night that is tried; by default the last one that the source has rows of.
    progress : callable, optional
        Told of each stage when it is done.

    Returns
    -------
    DatasetCheck
        What is wrong is a value, not an error: the first stage that fails ends the trial.
    """
    reports: list[StageReport] = []
    with tempfile.TemporaryDirectory(prefix="holdfast-check-") as scratch:
        trial: _Trial | None = None
        for stage, run in _STAGES.items():
            started = time.monotonic()
            try:
                if trial is None:
                    trial = _trial(dataset, settings, Path(scratch), night)
                said, is_sound = run(trial), True
            except HoldfastError as error:
                said, is_sound = f"{str(error).rstrip('.')}. {_advice(stage, error, dataset)}".rstrip(), False
            seconds = round(time.monotonic() - started, 2)
            reports.append(StageReport(stage=stage, is_sound=is_sound, said=said, seconds=seconds))
            if progress is not None:
                progress(reports[-1])
            if not is_sound:
                break
        nights = (trial.days[0], trial.last) if trial and trial.days else ()
    problem = None if reports[-1].is_sound else f"{reports[-1].stage}: {reports[-1].said}"
    return DatasetCheck(
        dataset=dataset, nights=nights, is_sound=problem is None, stages=tuple(reports), problem=problem
    )


def _trial(dataset: str, settings: Settings, folder: Path, night: str | None) -> _Trial:
    """Return a trial with a home of its own and a configuration that is quick to train."""
    params = load_params(settings.params)
    config = params.dataset(dataset)
    environ = {
        "HOLDFAST_PROJECT": str(settings.project),
        "HOLDFAST_PARAMS": str(settings.params),
        "HOLDFAST_SOURCES": str(settings.sources),
        "HOLDFAST_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "HOLDFAST_HOME": str(folder / "home"),
        "HOLDFAST_DEVICE": "cpu",
    }
    quick = trial_training.quick_training(config)
    (folder / "home").mkdir()
    runtime = Runtime(
        settings=load_settings(environ), params=Params(datasets={dataset: quick}, run=params.run)
    )
    return _Trial(dataset, runtime, folder, night)


def _read(trial: _Trial) -> str:
    """Read the source, and choose the nights to try."""
    config, settings = trial.config, trial.runtime.settings
    if config.event_time is None:
        last = trial.night or _ANY_NIGHT
        trial.days = [shift_partition(last, -1), last]
        return "the table has no time: two nights of it are tried"
    if trial.night is not None:
        trial.days = [shift_partition(trial.night, n - _MAX_NIGHTS + 1) for n in range(_MAX_NIGHTS)]
        return f"the nights up to {trial.night} are tried"
    with open_source(config, settings, days=[]) as source:
        files = source.files or ()
        if not files and not source.has_query:
            raise ConfigError("The location names a night, so say which one by --night YYYY-MM-DD")
        survey = Reading(source, config).survey(files)
    counts: dict[str, int] = {}
    for found in survey.values():
        for day, (n_rows, _) in found.items():
            counts[day] = counts.get(day, 0) + n_rows
    n_strays = counts.pop(NO_DAY, 0)
    if not counts:
        raise SchemaError(
            f"{n_strays:,} rows were read, and none has a time: `event_time` ({config.event_time}) is null"
        )
    trial.days = sorted(counts)[-_MAX_NIGHTS:]
    named = ", ".join(name for name in survey if name != QUERY)[:200] or "the query"
    strays = f", {n_strays:,} of them without a time" if n_strays else ""
    return (
        f"{sum(counts.values()) + n_strays:,} rows of {len(counts)} nights{strays} in {named}; "
        f"{trial.days[0]} to {trial.last} are tried"
    )


def _land(trial: _Trial) -> str:
    records = ingest_range(trial.dataset, trial.days[0], trial.last, runtime=trial.runtime)
    n_rows, n_labels = sum(r.n_rows for r in records), sum(r.n_labels for r in records)
    if n_rows == 0:
        raise SchemaError(f"No row landed from {trial.days[0]} to {trial.last}")
    if n_labels == 0:
        raise SchemaError(f"No label landed: `{trial.config.target}` is null in every row")
    return f"{n_rows:,} rows and {n_labels:,} labels"


def _validate(trial: _Trial) -> str:
    records = validate_range(trial.dataset, trial.days[0], trial.last, runtime=trial.runtime)
    wanted = set(trial.days)
    records = [record for record in records if record.partition_key in wanted]
    refused = [record for record in records if record.outcome == "refused"]
    n_in, n_bad = sum(r.n_in for r in records), sum(r.n_quarantined for r in records)
    # A night of which the source holds little may be refused; half of them are a sign of something else.
    if len(refused) > len(records) / 2:
        reasons = "; ".join(refused[0].reasons[:_MAX_SHOWN])
        raise ValidationFailed(
            f"{len(refused)} of {len(records)} nights are refused. {refused[0].partition_key}: {reasons}. "
            f"{_bad_rows(trial, refused[0].partition_key)}"
        )
    few = f"; refused: {', '.join(r.partition_key for r in refused[:_MAX_SHOWN])}" if refused else ""
    return f"{n_in - n_bad:,} rows pass, {n_bad:,} go to quarantine{few}"


def _bad_rows(trial: _Trial, night: str) -> str:
    """Return where the first rows in quarantine stand, and what they broke."""
    lake = trial.runtime.lake
    if not lake.exists(trial.dataset, "quarantine"):
        return ""
    rows = lake.read(trial.dataset, "quarantine", partitions=[night]).slice(0, _MAX_SHOWN).to_pylist()
    return " ".join(
        f"{row['source_file']} line {row['source_line']}: {row['reasons'][:200]}." for row in rows
    )


def _learn(trial: _Trial) -> str:
    folder = trial.folder / "training"
    trial.training = trial_training.train(trial.dataset, trial.last, runtime=trial.runtime, folder=folder)
    return trial.training.said


def _score(trial: _Trial) -> str:
    assert trial.training is not None  # noqa: S101 - the stage before made it
    n_rows = trial_training.score(trial.training, trial.days, trial.last, runtime=trial.runtime)
    return f"{n_rows:,} rows of {trial.last} have a prediction"


def _monitor(trial: _Trial) -> str:
    assert trial.training is not None  # noqa: S101 - the stage before made it
    return trial_training.monitor(trial.training, trial.last, runtime=trial.runtime)


_STAGES: dict[str, Callable[[_Trial], str]] = {
    "read": _read,
    "land": _land,
    "validate": _validate,
    "learn": _learn,
    "score": _score,
    "monitor": _monitor,
}


def _advice(stage: str, error: HoldfastError, dataset: str) -> str:
    """Return what to do about an error of a stage, beside what it says itself."""
    if isinstance(error, ConfigError):
        return "Edit that, and check again."
    return {
        "read": f"Look at `source`, `event_time` and `columns` of {dataset} in params.yaml.",
        "land": f"Look at `columns`, `event_time` and `labels` of {dataset} in params.yaml.",
        "validate": (
            f"Change what does not fit in expectations/{dataset}_raw.yaml, or `columns`, `source.missing` "
            "and `source.formats` in params.yaml; look at the source's line where it is named."
        ),
        "learn": f"Look at `features` and `training` of {dataset} in params.yaml.",
        "score": f"Look at `features` of {dataset} in params.yaml.",
        "monitor": f"Look at `monitoring` of {dataset} in params.yaml.",
    }[stage]
