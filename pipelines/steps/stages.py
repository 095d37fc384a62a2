"""The four stages of ``dvc.yaml``: each reads and writes files of the workspace that it runs in.

Heavy libraries are imported by the stage that needs them: the first two never pay for torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import DatasetConfig, TrainingRun, load_params, load_settings
from pipelines.errors import ConfigError, DataError, HoldfastError, IntegrityError, NotReadyError, SchemaError
from pipelines.training.snapshot import EVENTS, LABELS, Snapshot

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipelines.training.candidates import FittedCandidate
    from pipelines.training.row_split import Examples

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StageFolder:
    """The files of one training, below the project that DVC runs in."""

    project: Path

    @property
    def inputs(self) -> Path:
        return self.project / "workspace" / "inputs"

    @property
    def snapshot(self) -> Path:
        return self.project / "workspace" / "snapshot"

    @property
    def features(self) -> Path:
        return self.project / "workspace" / "features"

    @property
    def look_ahead(self) -> Path:
        return self.project / "workspace" / "look_ahead.json"

    @property
    def withheld(self) -> Path:
        return self.project / "workspace" / "withheld.json"

    @property
    def refusal(self) -> Path:
        return self.project / "workspace" / "refusal.json"

    @property
    def outputs(self) -> Path:
        return self.project / "workspace" / "outputs"

    @property
    def bundle(self) -> Path:
        return self.outputs / "bundle"

    @property
    def selection(self) -> Path:
        return self.outputs / "selection.json"

    @property
    def metrics(self) -> Path:
        return self.outputs / "metrics.json"

    def days(self) -> list[str]:
        """Return the days that have features, in order."""
        return sorted(path.stem for path in self.features.glob("*.parquet"))

    def run(self) -> tuple[TrainingRun, DatasetConfig]:
        """Return which training this is, and the configuration of its dataset."""
        params = load_params(self.project / "params.yaml")
        return params.run, params.dataset(params.run.dataset)

    def planned(self) -> Snapshot:
        """Return the snapshot that was planned.

        Raises
        ------
        IntegrityError
            If it is not the one that ``run.snapshot_digest`` names.
        """
        path = self.inputs / "snapshot.json"
        planned = Snapshot.model_validate_json(path.read_bytes())
        run, _ = self.run()
        if planned.digest != run.snapshot_digest:
            raise IntegrityError(
                f"{path} is not the snapshot that `run.snapshot_digest` of params.yaml names: train again."
            )
        return planned


def run_snapshot(project: Path) -> None:
    """Copy the planned days out of the lake, after checking that they still are what was planned."""
    from pipelines.storage.lake import Lake
    from pipelines.training.snapshot import write_snapshot

    folder = StageFolder(project)
    settings = load_settings()
    write_snapshot(folder.planned(), folder.snapshot, lake=Lake(settings.lake_uri, settings.storage_options))


def run_features(project: Path) -> None:
    """Compute the features of every day to learn from, and which of them look ahead."""
    from pipelines.features.look_ahead import check_look_ahead
    from pipelines.features.query import compute_features
    from pipelines.training.examples import write_features
    from pipelines.training.snapshot import read_snapshot

    folder = StageFolder(project)
    _, config = folder.run()
    planned = folder.planned()
    events, labels = read_snapshot(planned, folder.snapshot)
    sql = (folder.inputs / "features.sql").read_text(encoding="utf-8")
    features = compute_features(events, labels, config=config, sql=sql, partitions=planned.training_days)
    accepted = _accepted(features, folder, config)
    write_features(accepted, folder.features, partitions=planned.training_days)
    _write_json(folder.withheld, {"n_rows": features.num_rows - accepted.num_rows})
    columns = check_look_ahead(events, labels, config=config, sql=sql, features=features)
    _write_json(folder.look_ahead, {"columns": sorted(columns)})


def _accepted(features: pa.Table, folder: StageFolder, config: DatasetConfig) -> pa.Table:
    """Return the rows that a night would score: those that do not break the suite of the features."""
    text = (folder.inputs / "features_suite.yaml").read_text(encoding="utf-8")
    if not text:
        return features
    import pyarrow as pa

    from pipelines.storage.lake import PARTITION_COLUMN
    from pipelines.validation.stage_tables import broken_rows
    from pipelines.validation.suite import read_suite, suite_columns

    suite = read_suite(text, "the suite of the features", config, "features")
    days = sorted(set(features[PARTITION_COLUMN].to_pylist()))
    is_broken = broken_rows(features, days, suite=suite, types=suite_columns(config, "features"))
    return features.filter(pa.array(~is_broken))


def run_train(project: Path) -> None:
    """Fit every candidate on the days before the holdout, and write the best one's bundle."""
    from pipelines.bundle.files import with_outputs, write_bundle
    from pipelines.features.encoding import fit_encoding
    from pipelines.metrics import evaluate_predictions
    from pipelines.training.candidates import fit_candidate
    from pipelines.training.evaluation import choose_candidate, golden_rows

    folder = StageFolder(project)
    run, config = folder.run()
    train, valid, holdout = _examples(folder, run, config)
    encoding = fit_encoding(train, config.features)
    happened = valid[config.target].to_numpy()
    fitted: dict[str, FittedCandidate] = {}
    measured: dict[str, dict[str, float]] = {}
    for name in config.training.candidates:
        fitted[name] = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=run.seed)
        measured[name] = evaluate_predictions(happened, fitted[name].predict(valid), config.task)
    best = fitted[choose_candidate(measured, config.task)]
    golden = golden_rows(holdout, numeric=config.features.numeric, categorical=config.features.categorical)
    write_bundle(folder.bundle, best.description, best.tensors, with_outputs(golden, best.predict(golden)))
    selection = {
        "candidate": best.name,
        "validation": {name: _finite(found) for name, found in measured.items()},
        "n_train_rows": train.num_rows,
    }
    _write_json(folder.selection, selection)


def run_evaluate(project: Path) -> None:
    """Measure the model on its holdout by the production scorer; keep what drift is held against."""
    from pipelines.metrics import evaluate_predictions
    from pipelines.scoring.outcome import with_predictions
    from pipelines.scoring.scorer import Scorer
    from pipelines.training.evaluation import baseline_metrics, parity_error, sample_reference
    from pipelines.training.examples import count_strangers
    from pipelines.training.snapshot import write_parquet

    folder = StageFolder(project)
    run, config = folder.run()
    examples = _examples(folder, run, config)
    seen, holdout = examples.seen, examples.holdout
    # The CPU reckons the same everywhere; what a GPU gives is checked where one scores.
    scorer = Scorer.open(folder.bundle, device="cpu")
    guess = scorer.predict(holdout)
    scored, happened = with_predictions(holdout, guess, config), holdout[config.target].to_numpy()
    past = seen[config.target].to_numpy()
    strangers = count_strangers(folder.snapshot / LABELS, config, folder.days())
    selection = json.loads(folder.selection.read_text(encoding="utf-8"))
    metrics = {
        **selection,
        "holdout": _finite(evaluate_predictions(happened, guess, config.task)),
        "baseline": _finite(baseline_metrics(past, happened, config.task, n_classes=len(config.classes))),
        "strange_labels": strangers,
        "parity_error": parity_error(folder.bundle, scorer.predict),
        "n_withheld_rows": json.loads(folder.withheld.read_text(encoding="utf-8"))["n_rows"],
        "n_look_ahead_columns": len(json.loads(folder.look_ahead.read_text(encoding="utf-8"))["columns"]),
    }
    _write_json(folder.metrics, metrics)
    reference = sample_reference(seen, holdout, n_rows=config.monitoring.reference_rows)
    reference = with_predictions(reference, scorer.predict(reference), config)
    write_parquet(reference, folder.outputs / "reference.parquet")
    _write_sketch(seen, scored, folder, config)
    _write_profile(scored, folder, config)
    _write_plots(holdout, guess, folder.outputs / "plots", config)


def _examples(folder: StageFolder, run: TrainingRun, config: DatasetConfig) -> Examples:
    """Return the examples by purpose: by days, or by rows where the dataset is split so."""
    from pipelines.training.examples import read_examples, split_days
    from pipelines.training.row_split import Examples, split_rows

    def read(days: list[str]) -> pa.Table:
        return read_examples(folder.features, folder.snapshot / LABELS, config=config, days=days)

    if config.training.split == "rows":
        return split_rows(read(folder.days()), config.training.holdout_fraction)
    split = split_days(folder.days(), run.holdout_days)
    examples = Examples(read(split.train), read(split.valid), read(split.holdout))
    for days, rows in zip((split.train, split.valid, split.holdout), examples, strict=True):
        if not rows.num_rows:
            raise NotReadyError(
                f"Of the days {days[0]} to {days[-1]} no row has a known {config.target}: wait for their "
                "labels, or change `training` in params.yaml."
            )
    return examples


def _write_sketch(seen: pa.Table, scored: pa.Table, folder: StageFolder, config: DatasetConfig) -> None:
    """Count every row of every day: what the days of a night are held against."""
    import pyarrow as pa

    from pipelines.monitoring.reference_sketch import sketch_reference

    rows = pa.concat_tables([seen, scored.select(seen.column_names)])
    path = folder.outputs / "reference.sketch"
    path.write_bytes(sketch_reference(rows, scored, config).to_bytes())


def _write_profile(scored: pa.Table, folder: StageFolder, config: DatasetConfig) -> None:
    """Remember what the training saw of each column: what ``$REFERENCE`` in a suite stands for."""
    from pipelines.bundle.files import PREDICTION
    from pipelines.storage.lake import PARTITION_COLUMN
    from pipelines.training.examples import read_days
    from pipelines.validation.reference import learn

    days = folder.days()
    predicted = [name for name in scored.column_names if name.startswith((PREDICTION, "probability_"))]
    tables = {
        "raw": read_days(folder.snapshot / EVENTS, days).select([PARTITION_COLUMN, *config.columns]),
        "features": read_days(folder.features, days).select([PARTITION_COLUMN, *config.features.columns]),
        "labels": read_days(folder.snapshot / LABELS, days).select([PARTITION_COLUMN, *config.labels]),
        "predictions": scored.select([PARTITION_COLUMN, *predicted]),
    }
    path = folder.outputs / "reference_profile.json"
    path.write_text(learn(tables).model_dump_json(indent=1) + "\n", encoding="utf-8")


def _write_plots(holdout: pa.Table, guess: Floats, folder: Path, config: DatasetConfig) -> None:
    from pyarrow import csv

    from pipelines.storage.lake import PARTITION_COLUMN
    from pipelines.training.evaluation import by_day_table, calibration_table

    happened = holdout[config.target].to_numpy()
    folder.mkdir(parents=True, exist_ok=True)
    csv.write_csv(calibration_table(happened, guess), folder / "calibration.csv")
    days = holdout[PARTITION_COLUMN].to_numpy()
    csv.write_csv(by_day_table(days, happened, guess, config.task), folder / "by_day.csv")


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """Leave out what is not defined: JSON has no nan."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


STAGES: dict[str, Callable[[Path], None]] = {
    "snapshot": run_snapshot,
    "features": run_features,
    "train": run_train,
    "evaluate": run_evaluate,
}

# What no retry mends, and no library is to blame for.
_REFUSALS: dict[str, type[HoldfastError]] = {
    kind.__name__: kind for kind in (ConfigError, DataError, NotReadyError, SchemaError)
}


def run_stage(name: str, project: Path) -> None:
    """Run one stage; what it refuses is written down, for DVC tells only that it failed."""
    try:
        STAGES[name](project)
    except HoldfastError as error:
        if type(error).__name__ in _REFUSALS:
            folder = StageFolder(project)
            _write_json(folder.refusal, {"kind": type(error).__name__, "message": str(error)})
        raise


def read_refusal(project: Path) -> HoldfastError | None:
    """Return what the stage that failed refused, as the error that it was; None if it failed otherwise."""
    path = StageFolder(project).refusal
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return _REFUSALS[content["kind"]](content["message"])
