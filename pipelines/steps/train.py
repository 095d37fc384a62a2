"""Train a challenger on all that was known at a night, in a workspace of its own."""

from __future__ import annotations

import json
import logging
import tempfile
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
from pipelines.training.digest_memory import DigestMemory
from pipelines.training.dvc_objects import ObjectCache
from pipelines.training.environment import describe_environment, environment_digest
from pipelines.training.identity import training_key
from pipelines.training.mending import mend_workspace
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot
from pipelines.training.turns import alone, turn
from pipelines.training.workspace import Workspace, open_workspace

_LOG = logging.getLogger(__name__)
# How often a training is taken up again after DVC's cache gave out damaged bytes.
_ATTEMPTS = 3
_SEARCH_FIGURES = ("n_trials", "n_pruned", "n_failed", "best_trial")


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
        return training_key(
            self.dataset,
            snapshot=self.snapshot.digest,
            config=self.config_digest,
            code=self.code.tree,
            environment=environment_digest(self.environment),
            seed=self.config.training.seed,
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
    memory = DigestMemory(runtime.settings.home / "digests")
    snapshot = plan_snapshot(
        dataset,
        shift_partition(partition_key, -config.label_delay_days),
        first=first_partition,
        config=config,
        lake=runtime.lake,
        ledger=runtime.ledger,
        memory=memory,
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
        with alone(runtime.settings.home / "workspaces" / ".locks", plan.key):
            found = runtime.registry.find_training(dataset, plan.key)
            if found is not None:
                # The same model; asked for by this night, for this reason.
                return found.model_copy(update={"partition_key": partition_key, "reason": reason})
            with turn(runtime.settings.home / "workspaces" / ".locks", config.training.n_threads):
                try:
                    return _train(plan, runtime)
                except EngineError:
                    # What was planned on may not be what the lake's files hold: the next plan reads them all.
                    memory.forget(dataset)
                    raise


def _train(plan: _Plan, runtime: Runtime) -> TrainedModel:
    run = TrainingRun(
        dataset=plan.dataset,
        first_partition=plan.snapshot.first_partition,
        last_partition=plan.snapshot.last_partition,
        holdout_days=plan.config.training.holdout_days,
        snapshot_digest=plan.snapshot.digest,
        seed=plan.config.training.seed,
        training_key=plan.key,
    )
    with open_workspace(plan.code, f"{plan.dataset}-{plan.partition_key}", runtime.settings) as workspace:
        inputs = {
            "snapshot.json": plan.snapshot.model_dump_json(indent=1) + "\n",
            "features.sql": read_query(plan.config, workspace.root),
            "features_suite.yaml": _features_suite(plan.dataset, workspace.root),
            "environment.txt": plan.environment,
        }
        workspace.fill_in(runtime.params, run, inputs)
        _reproduce(workspace, ObjectCache(runtime.settings.dvc_cache), plan.config.training.n_threads)
        workspace.dvc("push")
        return _log(plan, workspace, runtime)


def _reproduce(workspace: Workspace, cache: ObjectCache, n_threads: int) -> None:
    """Run the stages until all that they gave, or DVC gave out of its cache, is what the lock names."""
    for _ in range(_ATTEMPTS):
        failure = None
        try:
            workspace.dvc("repro", n_threads=n_threads)
        except EngineError as error:
            failure = error
        if mend_workspace(workspace, cache):
            continue
        if failure is None:
            return
        # Data that can't be learned from is no failure of DVC, and is not tried again.
        refusal = read_refusal(workspace.root)
        raise failure if refusal is None else refusal from failure
    raise EngineError(
        f"What DVC checks out of {workspace.root} is damaged again and again: check the disk that the DVC "
        "cache lies on, or point HOLDFAST_DVC_CACHE at another one."
    )


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
    search = measured.get("search", {})
    flat |= {f"search_{name}": search[name] for name in _SEARCH_FIGURES if name in search}
    flat |= measured.get("evaluation", {})
    for candidate, found in measured["validation"].items():
        flat |= {f"validation_{name}.{candidate}": value for name, value in found.items()}
    return {name: float(value) for name, value in flat.items()}
