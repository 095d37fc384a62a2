"""Train, score and monitor on trial: the stages of a real training, without git, DVC and MLflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import yaml

from pipelines.config import DatasetConfig, Params, SearchConfig, TrainingRun
from pipelines.errors import ConfigError
from pipelines.features.query import load_features, read_query
from pipelines.records import partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.stages import StageFolder, run_evaluate, run_features, run_train
from pipelines.storage.digest import ROW_KEY
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import write_snapshot

_VERSION = "trial"


@dataclass(frozen=True)
class TrialTraining:
    """A model that was trained on trial.

    Parameters
    ----------
    said : str
        What it learned from, and how well.
    """

    dataset: str
    folder: StageFolder
    said: str


def quick_training(config: DatasetConfig) -> DatasetConfig:
    """Return settings that are quick, and content with the few nights of a trial."""
    training = config.training.model_copy(
        update={
            "candidates": config.training.candidates[:1],
            "max_iterations": min(config.training.max_iterations, 40),
            "max_epochs": min(config.training.max_epochs, 2),
            "search": SearchConfig(),
            "min_days": 1,
            "holdout_days": min(config.training.holdout_days, 3),
        }
    )
    evaluation = config.evaluation.model_copy(update={"refits": 0})
    return config.model_copy(update={"training": training, "evaluation": evaluation})


def train(dataset: str, night: str, *, runtime: Runtime, folder: Path) -> TrialTraining:
    """Train on all published days whose labels were known at a night.

    Raises
    ------
    ConfigError
        If the features query does not run, or a feature looks ahead; names the file and the features.
    NotReadyError
        If too few days have labels.
    """
    config = runtime.dataset(dataset)
    last = shift_partition(night, -config.label_delay_days)
    snapshot = plan_snapshot(
        dataset, last, first=None, config=config, lake=runtime.lake, ledger=runtime.ledger
    )
    stages = StageFolder(folder)
    stages.inputs.mkdir(parents=True)
    run = TrainingRun(
        dataset=dataset,
        first_partition=snapshot.first_partition,
        last_partition=snapshot.last_partition,
        holdout_days=config.training.holdout_days,
        snapshot_digest=snapshot.digest,
        seed=config.training.seed,
    )
    params = Params(datasets={dataset: config}, run=run).model_dump(mode="json")
    suite = runtime.settings.project / "expectations" / f"{dataset}_features.yaml"
    texts = {
        folder / "params.yaml": yaml.safe_dump(params, sort_keys=False, allow_unicode=True),
        stages.inputs / "snapshot.json": snapshot.model_dump_json(),
        stages.inputs / "features.sql": read_query(config, runtime.settings.project),
        stages.inputs / "features_suite.yaml": suite.read_text(encoding="utf-8") if suite.is_file() else "",
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    write_snapshot(snapshot, stages.snapshot, lake=runtime.lake)
    run_features(folder)
    _require_no_look_ahead(stages, config.features.sql)
    run_train(folder)
    run_evaluate(folder)
    return TrialTraining(dataset, stages, _spoken(stages, len(snapshot.training_days)))


def _require_no_look_ahead(stages: StageFolder, sql: str) -> None:
    columns = json.loads(stages.look_ahead.read_text(encoding="utf-8"))["columns"]
    if columns:
        raise ConfigError(
            f"{sql}: {', '.join(columns[:10])} look ahead: recomputed as that night knew "
            "them, they have other values. They may use events of the night and `history_days` before, "
            "and labels up to the night minus label_delay_days"
        )


def _spoken(stages: StageFolder, n_days: int) -> str:
    measured = json.loads(stages.metrics.read_text(encoding="utf-8"))
    holdout, baseline = measured["holdout"], measured["baseline"]
    measures = [name for name in holdout if name in baseline and name != "n"][:1]
    shown = ", ".join(f"{name} {holdout[name]:.4g} (naive {baseline[name]:.4g})" for name in measures)
    return f"{n_days} nights, {measured['n_train_rows']:,} rows; no feature looks ahead; {shown}"


def score(training: TrialTraining, days: Sequence[str], night: str, *, runtime: Runtime) -> int:
    """Predict the published rows of the nights that monitoring looks at; return how many the last one has."""
    from pipelines.scoring.outcome import predict, with_predictions
    from pipelines.scoring.scorer import Scorer

    dataset, config = training.dataset, runtime.dataset(training.dataset)
    window = config.monitoring.window_days + config.label_delay_days
    wanted = set(partition_range(shift_partition(night, 1 - window), night))
    published = set(runtime.lake.partition_keys(dataset, "validated"))
    n_rows = 0
    with Scorer.open(training.folder.bundle, "cpu") as scorer:
        for day in sorted(wanted & published & set(days)):
            features = load_features(
                runtime.lake, dataset, config=config, project=runtime.settings.project, partitions=[day]
            )
            rows = with_predictions(
                features.select([ROW_KEY, "event_time"]), predict(scorer, features, config), config
            )
            rows = rows.append_column("model_version", pa.repeat(_VERSION, rows.num_rows))
            n_rows = runtime.lake.replace(dataset, "predictions", day, rows).n_rows
    return n_rows


def monitor(training: TrialTraining, night: str, *, runtime: Runtime) -> str:
    """Judge the last night; return the verdict in words."""
    from pipelines.monitoring.performance.concept import judge_performance
    from pipelines.monitoring.reference import read_reference
    from pipelines.monitoring.significance.judge import Judge
    from pipelines.monitoring.window import WindowReader

    dataset, config = training.dataset, runtime.dataset(training.dataset)
    outputs = training.folder.outputs
    reference = read_reference(outputs / "reference.parquet", config, sketch=outputs / "reference.sketch")
    reader = WindowReader(runtime.lake, dataset, config, runtime.settings.project)
    window = reader.read(night, _VERSION)
    findings = Judge(reference, config, runtime.settings.home / "calibration").findings(window)
    newest = shift_partition(night, -config.maturity_days)
    concept = judge_performance(window.labelled, reference.holdout, config, newest=newest)
    kinds = [*findings.kinds, *(["concept"] if concept is not None and concept.is_drifted else [])]
    n_columns = len({column.column for column in findings.columns})
    return f"{n_columns} columns compared: {' and '.join(kinds) + ' drift' if kinds else 'calm'}"
