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
from pipelines.errors import IntegrityError
from pipelines.training.snapshot import LABELS, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.training.candidates import FittedCandidate


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
    write_features(features, folder.features, partitions=planned.training_days)
    columns = check_look_ahead(events, labels, config=config, sql=sql, features=features)
    _write_json(folder.look_ahead, {"columns": sorted(columns)})


def run_train(project: Path) -> None:
    """Fit every candidate on the days before the holdout, and write the best one's bundle."""
    from pipelines.bundle.files import PREDICTION, write_bundle
    from pipelines.features.encoding import fit_encoding
    from pipelines.metrics import evaluate_predictions
    from pipelines.training.candidates import fit_candidate
    from pipelines.training.evaluation import choose_candidate, golden_rows
    from pipelines.training.examples import split_days

    folder = StageFolder(project)
    run, config = folder.run()
    split = split_days(folder.days(), run.holdout_days)
    train, valid = _examples(folder, split.train, config), _examples(folder, split.valid, config)
    encoding = fit_encoding(train, config.features)
    happened = valid[config.target].to_numpy()
    fitted: dict[str, FittedCandidate] = {}
    measured: dict[str, dict[str, float]] = {}
    for name in config.training.candidates:
        fitted[name] = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=run.seed)
        measured[name] = evaluate_predictions(happened, fitted[name].predict(valid), config.task)
    best = fitted[choose_candidate(measured, config.task)]
    golden = golden_rows(
        _examples(folder, split.holdout, config),
        numeric=config.features.numeric,
        categorical=config.features.categorical,
    )
    write_bundle(
        folder.bundle,
        best.description,
        best.tensors,
        golden.append_column(PREDICTION, [best.predict(golden)]),
    )
    selection = {
        "candidate": best.name,
        "validation": {name: _finite(found) for name, found in measured.items()},
        "n_train_rows": train.num_rows,
    }
    _write_json(folder.selection, selection)


def run_evaluate(project: Path) -> None:
    """Measure the model on its holdout by the production scorer; sample the rows drift is held against."""
    from pipelines.bundle.files import PREDICTION
    from pipelines.metrics import evaluate_predictions
    from pipelines.scoring.scorer import Scorer
    from pipelines.training.evaluation import baseline_metrics, parity_error, sample_reference
    from pipelines.training.examples import split_days
    from pipelines.training.snapshot import write_parquet

    folder = StageFolder(project)
    run, config = folder.run()
    split = split_days(folder.days(), run.holdout_days)
    seen = _examples(folder, [*split.train, *split.valid], config)
    holdout = _examples(folder, split.holdout, config)
    # The CPU reckons the same everywhere; what a GPU gives is checked where one scores.
    scorer = Scorer.open(folder.bundle, device="cpu")
    scored = holdout.append_column(PREDICTION, [scorer.predict(holdout)])
    happened, guess = scored[config.target].to_numpy(), scored[PREDICTION].to_numpy()
    selection = json.loads(folder.selection.read_text(encoding="utf-8"))
    metrics = {
        **selection,
        "holdout": _finite(evaluate_predictions(happened, guess, config.task)),
        "baseline": _finite(baseline_metrics(seen[config.target].to_numpy(), happened, config.task)),
        "parity_error": parity_error(folder.bundle, scorer.predict),
        "n_look_ahead_columns": len(json.loads(folder.look_ahead.read_text(encoding="utf-8"))["columns"]),
    }
    _write_json(folder.metrics, metrics)
    reference = sample_reference(seen, holdout, n_rows=config.monitoring.reference_rows)
    reference = reference.append_column(PREDICTION, [scorer.predict(reference)])
    write_parquet(reference, folder.outputs / "reference.parquet")
    _write_plots(scored, folder.outputs / "plots", config)


def _examples(folder: StageFolder, days: list[str], config: DatasetConfig) -> pa.Table:
    from pipelines.training.examples import read_examples

    return read_examples(folder.features, folder.snapshot / LABELS, target=config.target, days=days)


def _write_plots(scored: pa.Table, folder: Path, config: DatasetConfig) -> None:
    from pyarrow import csv

    from pipelines.bundle.files import PREDICTION
    from pipelines.storage.lake import PARTITION_COLUMN
    from pipelines.training.evaluation import by_day_table, calibration_table

    happened, guess = scored[config.target].to_numpy(), scored[PREDICTION].to_numpy()
    folder.mkdir(parents=True, exist_ok=True)
    csv.write_csv(calibration_table(happened, guess), folder / "calibration.csv")
    days = scored[PARTITION_COLUMN].to_numpy()
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
