"""The four stages of ``dvc.yaml``: each reads and writes files of the workspace that it runs in.

Heavy libraries are imported by the stage that needs them: the first two never pay for torch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import DatasetConfig, TrainingRun, load_settings
from pipelines.errors import ConfigError, DataError, HoldfastError, NotReadyError, SchemaError
from pipelines.steps.stage_folder import StageFolder
from pipelines.training.snapshot import LABELS

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.training.row_split import Examples

__all__ = [
    "STAGES",
    "StageFolder",
    "read_refusal",
    "run_evaluate",
    "run_features",
    "run_snapshot",
    "run_stage",
    "run_train",
]


def run_snapshot(project: Path) -> None:
    """Copy the planned days out of the lake, after checking that they still are what was planned."""
    from pipelines.storage.lake import Lake
    from pipelines.training.kept_days import KeptDays
    from pipelines.training.snapshot import write_snapshot

    folder, settings = StageFolder(project), load_settings()
    lake, kept = Lake(settings.lake_uri, settings.storage_options), KeptDays(settings.dvc_cache)
    n_read = write_snapshot(folder.planned(), folder.snapshot, lake=lake, kept=kept)
    sys.stdout.write(f"{n_read} files were read from the lake; all others came from the DVC cache.\n")


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
    """Fit the candidates on the days before the holdout, and write the best one's bundle."""
    from pipelines.bundle.files import with_outputs, write_bundle
    from pipelines.features.encoding import fit_encoding
    from pipelines.training.candidates import calibration_slice
    from pipelines.training.evaluation import golden_rows
    from pipelines.training.selection import Fitting, Rows, select_model

    folder = StageFolder(project)
    run, config = folder.run()
    train, valid, holdout = _examples(folder, run, config)
    rows = Rows(train, *calibration_slice(valid, config=config))
    fitting = Fitting(rows, config, fit_encoding(train, config.features), run.seed)
    selected = select_model(fitting, run, studies=load_settings().home / "studies")
    best = selected.best
    golden = golden_rows(holdout, numeric=config.features.numeric, categorical=config.features.categorical)
    write_bundle(folder.bundle, best.description, best.tensors, with_outputs(golden, best.predict(golden)))
    selection = {**selected.told, "n_train_rows": train.num_rows}
    if best.calibration is not None:
        selection["calibration"] = best.calibration.model_dump()
    _write_json(folder.selection, selection)


def run_evaluate(project: Path) -> None:
    """Measure the model on its holdout by the production scorer; keep what drift is held against."""
    from pipelines.steps.evaluate import evaluate

    folder = StageFolder(project)
    run, config = folder.run()
    _write_json(folder.metrics, evaluate(folder, _examples(folder, run, config), config))


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
    from pipelines.training.mending import require_inputs

    require_inputs(project, name)
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
