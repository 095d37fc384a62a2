"""Train a challenger on all that was known at a night, in a workspace of its own."""

from __future__ import annotations

import fcntl
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.bundle.description import TrainingNotes
from pipelines.bundle.files import bundle_digest, read_bundle
from pipelines.config import DatasetConfig, TrainingConfig, TrainingRun
from pipelines.errors import EngineError
from pipelines.features.query import read_query
from pipelines.records import OPEN_RETRAINING, TrainedModel, digest_of, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.stages import StageFolder, read_refusal
from pipelines.training.checkout import Code, capture_code
from pipelines.training.environment import describe_environment, environment_digest
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot
from pipelines.training.workspace import Workspace, open_workspace

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """All that decides what one training gives."""

    dataset: str
    partition_key: str
    reason: str
    config: DatasetConfig
    snapshot: Snapshot
    code: Code
    environment: str

    @property
    def config_digest(self) -> str:
        return digest_of(self.config.model_dump(mode="json"))

    @property
    def key(self) -> str:
        """The training's identity: equal keys, equal models."""
        return digest_of(
            {
                "dataset": self.dataset,
                "snapshot": self.snapshot.digest,
                "config": self.config_digest,
                "code": self.code.tree,
                "environment": environment_digest(self.environment),
                "seed": self.config.training.seed,
            }
        )


def train(
    dataset: str,
    partition_key: str,
    *,
    runtime: Runtime,
    first_partition: str | None = None,
    reason: str = "",
) -> TrainedModel:
    """Train every candidate on the published days whose labels were known at a night; keep the best.

    Runs ``dvc repro`` and ``dvc push`` in a workspace made from the checkout as it is, uncommitted
    changes included; the checkout itself is only read. The result is logged as one MLflow run.
    What was trained before (same days, configuration, code and environment) is returned as it is,
    also when two processes start at once.

    Parameters
    ----------
    partition_key : str
        The night: labels of partitions up to ``label_delay_days`` before it are known.
    first_partition : str, optional
        The first day to learn from; the first published one by default.
    reason : str
        Why it is done; goes on record.

    Raises
    ------
    NotReadyError
        If there are too few published days with labels; says how many.
    ConfigError
        If the project is no git checkout, or the dataset is not declared.
    DataError
        If nothing can be learned from the rows, such as where all labels are alike.
    EngineError
        If git, DVC, a stage or MLflow fails; names the workspace, which is kept.
    """
    config = runtime.dataset(dataset)
    asked = runtime.ledger.retraining(dataset, partition_key)
    # A night that was decided stays decided: training it again by hand must not reopen its retraining.
    if asked is not None and (asked.status in OPEN_RETRAINING or asked.status == "failed"):
        runtime.ledger.update_retraining(dataset, partition_key, status="training")
    snapshot = plan_snapshot(
        dataset,
        shift_partition(partition_key, -config.label_delay_days),
        first=first_partition,
        config=config,
        lake=runtime.lake,
        ledger=runtime.ledger,
    )
    if snapshot.left_out:
        _LOG.warning(
            "%d days of %s are left out, from %s: their rows are not those that were validated.",
            len(snapshot.left_out),
            dataset,
            snapshot.left_out[0],
        )
    with tempfile.TemporaryDirectory(prefix="holdfast-code-") as scratch:
        plan = _Plan(
            dataset=dataset,
            partition_key=partition_key,
            reason=reason,
            config=config,
            snapshot=snapshot,
            code=capture_code(runtime.settings.project, Path(scratch)),
            environment=describe_environment(),
        )
        with _alone(runtime.settings.home / "workspaces" / ".locks", plan.key):
            found = runtime.registry.find_training(dataset, plan.key)
            if found is not None:
                # The same model; asked for by this night, for this reason.
                return found.model_copy(update={"partition_key": partition_key, "reason": reason})
            return _train(plan, runtime)


def _train(plan: _Plan, runtime: Runtime) -> TrainedModel:
    run = TrainingRun(
        dataset=plan.dataset,
        first_partition=plan.snapshot.first_partition,
        last_partition=plan.snapshot.last_partition,
        holdout_days=plan.config.training.holdout_days,
        snapshot_digest=plan.snapshot.digest,
        seed=plan.config.training.seed,
    )
    with open_workspace(plan.code, f"{plan.dataset}-{plan.partition_key}", runtime.settings) as workspace:
        inputs = {
            "snapshot.json": plan.snapshot.model_dump_json(indent=1) + "\n",
            "features.sql": read_query(plan.config, workspace.root),
            "features_suite.yaml": _features_suite(plan.dataset, workspace.root),
            "environment.txt": plan.environment,
        }
        workspace.fill_in(runtime.params, run, inputs)
        _reproduce(workspace, plan.config.training.n_threads)
        workspace.dvc("push")
        return _log(plan, workspace, runtime)


def _reproduce(workspace: Workspace, n_threads: int) -> None:
    """Run the stages; data that can't be learned from is no failure of DVC, and is not tried again."""
    try:
        workspace.dvc("repro", n_threads=n_threads)
    except EngineError as error:
        refusal = read_refusal(workspace.root)
        if refusal is None:
            raise
        raise refusal from error


def _features_suite(dataset: str, project: Path) -> str:
    """Return the text of the suite that features are held to; empty where there is none."""
    path = project / "expectations" / f"{dataset}_features.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _log(plan: _Plan, workspace: Workspace, runtime: Runtime) -> TrainedModel:
    """Write the training down in MLflow, with everything that it takes to repeat it."""
    folder = StageFolder(workspace.root)
    trained = _describe(plan, folder)
    files = [workspace.root / name for name in ("dvc.lock", "dvc.yaml", "params.yaml")]
    files += sorted(folder.inputs.iterdir())
    if plan.code.is_dirty:
        patch = workspace.root / "uncommitted.patch"
        patch.write_bytes(plan.code.patch)
        files.append(patch)
    return runtime.registry.log_training(
        trained,
        outputs=folder.outputs,
        params=_params(plan, trained, read_bundle(folder.bundle).description.training),
        tags={
            "holdfast.partition_key": trained.partition_key,
            "holdfast.reason": trained.reason,
            "holdfast.commit": trained.code_commit,
            "holdfast.is_dirty": str(trained.is_dirty).lower(),
            "holdfast.code_tree": plan.code.tree,
            "holdfast.snapshot_digest": trained.snapshot_digest,
            "holdfast.config_digest": trained.config_digest,
            "holdfast.environment_digest": trained.environment_digest,
        },
        files=files,
    )


def _params(plan: _Plan, trained: TrainedModel, notes: TrainingNotes) -> dict[str, str]:
    params = {
        **{f"training.{name}": value for name, value in plan.config.training.model_dump().items()},
        **{f"fit.{name}": value for name, value in notes.model_dump().items()},
        "dataset": trained.dataset,
        "candidate": trained.candidate,
        "first_partition": trained.first_partition,
        "last_partition": trained.last_partition,
        "holdout_first": trained.holdout_first,
        "n_partitions": trained.n_partitions,
        "n_partitions_left_out": len(plan.snapshot.left_out),
    }
    return {name: str(value) for name, value in params.items()}


def _describe(plan: _Plan, folder: StageFolder) -> TrainedModel:
    measured = json.loads(folder.metrics.read_text(encoding="utf-8"))
    days = plan.snapshot.training_days
    return TrainedModel(
        dataset=plan.dataset,
        partition_key=plan.partition_key,
        training_key=plan.key,
        mlflow_run_id="",
        bundle_digest=bundle_digest(folder.bundle),
        candidate=measured["candidate"],
        first_partition=days[0],
        last_partition=days[-1],
        holdout_first=_holdout_first(days, plan.config.training),
        snapshot_digest=plan.snapshot.digest,
        n_partitions=len(days),
        n_rows=sum(day.n_rows for day in plan.snapshot.days if day.is_training),
        code_commit=plan.code.commit,
        is_dirty=plan.code.is_dirty,
        config_digest=plan.config_digest,
        environment_digest=environment_digest(plan.environment),
        metrics=_flat(measured),
        reason=plan.reason,
    )


def _holdout_first(days: list[str], training: TrainingConfig) -> str:
    """Return the first day that has held-out rows: of a split by rows, all days have."""
    return days[0] if training.split == "rows" else days[-training.holdout_days]


def _flat(measured: dict[str, Any]) -> dict[str, float]:
    """Return the metrics by one name each; those of the holdout, which count, by their plain names."""
    flat = {
        "parity_error": measured["parity_error"],
        "n_look_ahead_columns": measured["n_look_ahead_columns"],
        "n_withheld_rows": measured["n_withheld_rows"],
        "n_strange_labels": sum(measured["strange_labels"].values()),
        **{f"baseline_{name}": value for name, value in measured["baseline"].items()},
        **measured["holdout"],
    }
    for candidate, found in measured["validation"].items():
        flat |= {f"validation_{name}.{candidate}": value for name, value in found.items()}
    return {name: float(value) for name, value in flat.items()}


@contextmanager
def _alone(folder: Path, key: str) -> Iterator[None]:
    """Let one process of this machine at a time do the training of ``key``; others wait, and find it done."""
    folder.mkdir(parents=True, exist_ok=True)
    # The lock goes with its process, however that ends; the file stays, since whoever waits has it open.
    with (folder / f"{key[:32]}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
