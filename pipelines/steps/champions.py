"""Look after the champion's record: it is whole, and MLflow shows what it says."""

from __future__ import annotations

import logging

from pipelines.errors import ConflictError, EngineError, NotReadyError
from pipelines.records import (
    ChainReport,
    ChampionMove,
    ChampionNote,
    now_utc,
)
from pipelines.registry.champion import Projection, head_of, project_champion
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.tell import tell_alias, tell_broken_record

_log = logging.getLogger(__name__)


def follow_champion(dataset: str, partition_key: str, *, runtime: Runtime) -> Projection | None:
    """Have MLflow's alias follow the ledger; one that was moved by hand is put back, noted and told.

    Parameters
    ----------
    partition_key : str
        The night whose work this is part of; a note is about it.

    Returns
    -------
    Projection or None
        None before the first champion.

    Raises
    ------
    EngineError, ConflictError
        As :func:`~pipelines.registry.champion.project_champion`.
    """
    shown = project_champion(dataset, ledger=runtime.ledger, registry=runtime.registry)
    if shown is None:
        return None
    if shown.is_repaired:
        note = _alias_note(shown, partition_key)
        runtime.ledger.record(note)
        tell_alias(note, runtime=runtime)
    if shown.contradiction is not None:
        report = runtime.ledger.champions.verify(dataset, anchor=shown.contradiction, with_evidence=False)
        tell_broken_record(report, partition_key=partition_key, runtime=runtime)
    return shown


def check_champion(dataset: str, partition_key: str, *, runtime: Runtime) -> None:
    """Look after the champion's record once a night: it is whole, and MLflow shows what it says.

    What is wrong is set right or told; nothing here stops the night.
    """
    report = runtime.ledger.champions.verify(dataset, with_evidence=False)
    if not report.n_moves:
        return
    if not report.is_intact:
        tell_broken_record(report, partition_key=partition_key, runtime=runtime)
    try:
        follow_champion(dataset, partition_key, runtime=runtime)
    except (EngineError, ConflictError) as error:
        _log.warning("MLflow's alias of %s's champion was not looked at: %s", dataset, error)


def repair_alias(dataset: str, *, runtime: Runtime) -> Projection:
    """Do by hand what each night does: have MLflow's alias point at the champion on record.

    Raises
    ------
    NotReadyError
        If there is no champion.
    """
    champion = _present(dataset, runtime)
    shown = follow_champion(dataset, champion.partition_key, runtime=runtime)
    assert shown is not None, "a champion is never taken away"  # noqa: S101
    return shown


def verify_champion(dataset: str, *, runtime: Runtime) -> ChainReport:
    """Hold the champion's record to its chain, its evidence, and what MLflow was told of it.

    Returns
    -------
    ChainReport
        ``not_checked`` says so where MLflow could not be asked: then moves that are gone from the end do
        not show.

    Raises
    ------
    ConfigError
        If there is no such dataset.
    """
    runtime.dataset(dataset)
    try:
        anchor, alias = runtime.registry.anchored_head(dataset), runtime.registry.alias(dataset, CHAMPION)
    except EngineError as error:
        report = runtime.ledger.champions.verify(dataset)
        return report.model_copy(update={"not_checked": f"MLflow was not asked: {error}"})
    report = runtime.ledger.champions.verify(dataset, anchor=anchor)
    unanchored = "MLflow was never told of a move: moves that are gone from the end do not show."
    return report.model_copy(
        update={"alias": alias, "not_checked": unanchored if anchor is None and report.n_moves else ""}
    )


def accept_record(dataset: str, *, actor: str, reason: str, runtime: Runtime) -> ChampionNote:
    """Take the champion's record as it is for the true one, as after a restored backup.

    MLflow is told of the present newest move, whatever it had been told before; a note keeps both. The moves
    themselves stay as they are: what is broken within the chain :func:`verify_champion` goes on telling.

    Raises
    ------
    NotReadyError
        If there is no champion.
    """
    champion = _present(dataset, runtime)
    anchor = runtime.registry.anchored_head(dataset)
    note = ChampionNote(
        dataset=dataset,
        partition_key=champion.partition_key,
        about="anchor",
        found=None if anchor is None else str(anchor),
        restored=str(head_of(champion)),
        sequence=champion.sequence,
        actor=actor,
        reason=reason,
        noticed_at=now_utc(),
    )
    # On record first: an anchor that was moved without a note would hide what it had shown.
    runtime.ledger.record(note)
    runtime.registry.anchor_head(dataset, head_of(champion))
    follow_champion(dataset, champion.partition_key, runtime=runtime)
    return note


def _alias_note(shown: Projection, partition_key: str) -> ChampionNote:
    champion = shown.champion
    where = "had been taken away" if shown.found is None else f"pointed at v{shown.found}"
    return ChampionNote(
        dataset=champion.dataset,
        partition_key=partition_key,
        about="alias",
        found=shown.found,
        restored=champion.model_version,
        sequence=champion.sequence,
        actor="holdfast",
        reason=f"MLflow's alias {CHAMPION} {where}, which the ledger did not decide: put back to "
        f"v{champion.model_version}.",
        noticed_at=now_utc(),
    )


def _present(dataset: str, runtime: Runtime) -> ChampionMove:
    champion = runtime.ledger.champions.present(dataset)
    if champion is None:
        raise NotReadyError(f"{dataset} has no champion yet.")
    return champion
