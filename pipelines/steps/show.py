"""Show what exact data, code, configuration and environment made a model, and who promoted it."""

from __future__ import annotations

from typing import Any

from pipelines.bundle.files import GOLDEN_FILE
from pipelines.errors import IntegrityError, NotReadyError
from pipelines.records import ChampionMove, GateRecord, TrainedModel, digest_of
from pipelines.registry.challengers import training_record
from pipelines.registry.local_copies import file_digest
from pipelines.registry.mlflow_registry import CHALLENGER, CHAMPION
from pipelines.registry.passport import ModelPassport, render_passport
from pipelines.runtime import Runtime
from pipelines.steps.lineage import read_config, read_snapshot
from pipelines.training.environment import environment_digest
from pipelines.training.snapshot import Snapshot

__all__ = ["render_passport", "show_model"]


def show_model(dataset: str, reference: str, *, runtime: Runtime) -> ModelPassport:
    """Gather all that is on record about one model version.

    Parameters
    ----------
    reference : str
        ``champion`` (by the ledger), ``challenger`` (the newest version), or a version.

    Raises
    ------
    NotReadyError
        If there is no champion or challenger yet.
    ConfigError
        If there is no such version; names those there are.
    """
    version = resolve_version(dataset, reference, runtime=runtime)
    training = training_record(dataset, version, ledger=runtime.ledger)
    trained, history = training.trained, runtime.ledger.champions.history(dataset)
    promotion = next((move for move in reversed(history) if move.model_version == version), None)
    snapshot, config, is_intact = _lineage(trained, runtime)
    golden_digest, is_intact["bundle"] = _golden_digest(dataset, version, runtime)
    return ModelPassport(
        dataset=dataset,
        model_version=version,
        aliases=_aliases(dataset, version, history, runtime),
        trained=trained,
        n_digests=_n_digests(snapshot),
        config=config,
        golden_digest=golden_digest,
        artifacts_uri=runtime.registry.artifact_uri(trained),
        is_intact=is_intact,
        evidence=_evidence(dataset, version, history, runtime),
        promotion=promotion,
        history=tuple(history),
    )


def resolve_version(dataset: str, reference: str, *, runtime: Runtime) -> str:
    """Return the version that a reference of :func:`show_model` means; raises as that does."""
    runtime.dataset(dataset)
    if reference == CHAMPION:
        champion = runtime.ledger.champions.present(dataset)
        found = None if champion is None else champion.model_version
    elif reference == CHALLENGER:
        found = runtime.registry.alias(dataset, CHALLENGER)
    else:
        return reference
    if found is None:
        raise NotReadyError(f"{dataset} has no {reference} yet: run `holdfast train {dataset} NIGHT` first.")
    return found


def _lineage(
    trained: TrainedModel, runtime: Runtime
) -> tuple[Snapshot | None, dict[str, Any], dict[str, bool]]:
    """Read what the training left beside the model, and hold it to the digests on record."""
    config = read_config(runtime.registry.lineage(trained, "params.yaml") or "", trained.dataset)
    environment = runtime.registry.lineage(trained, "environment.txt") or ""
    snapshot = read_snapshot(runtime.registry.lineage(trained, "snapshot.json") or "")
    is_intact = {
        "snapshot": snapshot is not None and snapshot.digest == trained.snapshot_digest,
        "configuration": digest_of(config) == trained.config_digest,
        "environment": environment_digest(environment) == trained.environment_digest,
    }
    return snapshot, config, is_intact


def _golden_digest(dataset: str, version: str, runtime: Runtime) -> tuple[str, bool]:
    try:
        return file_digest(runtime.registry.bundle(dataset, version) / GOLDEN_FILE), True
    except IntegrityError:
        return "", False


def _n_digests(snapshot: Snapshot | None) -> dict[str, int]:
    if snapshot is None:
        return {}
    return {
        "events": len(snapshot.days),
        "labels": sum(day.labels_digest is not None for day in snapshot.days),
    }


def _aliases(dataset: str, version: str, history: list[ChampionMove], runtime: Runtime) -> tuple[str, ...]:
    """Return the aliases: the champion's by the ledger, which decides, not by MLflow, which follows."""
    found = [CHAMPION] if history and history[-1].model_version == version else []
    if runtime.registry.alias(dataset, CHALLENGER) == version:
        found.append(CHALLENGER)
    return tuple(found)


def _evidence(dataset: str, version: str, history: list[ChampionMove], runtime: Runtime) -> GateRecord | None:
    """Return the gates that made the version champion; else the latest ones."""
    promotions = [m for m in history if m.model_version == version and m.action == "promote"]
    if promotions:
        return runtime.ledger.find(GateRecord, dataset, promotions[-1].evidence_digest)
    return runtime.ledger.latest(GateRecord, dataset, subject=version)
