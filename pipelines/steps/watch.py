"""Watch a new champion: take it back where it is worse, beyond doubt, than the one before would have been."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from pipelines.metrics import primary_metric
from pipelines.records import (
    ChampionMove,
    WatchedNights,
    WatchRecord,
    shift_partition,
)
from pipelines.registry import watching
from pipelines.registry.watching import WATCH
from pipelines.runtime import Runtime
from pipelines.steps.paired_rows import SHADOW_TABLE, PairedRows, labelled_nights, paired_rows
from pipelines.steps.rollback import rollback
from pipelines.steps.watch_state import WatchedMove, watched_move, watched_nights

_TABLES = {"labels_version": "labels", "predictions_version": "predictions", "shadow_version": SHADOW_TABLE}


def watch(dataset: str, partition_key: str, *, runtime: Runtime) -> WatchRecord | None:
    """Compare the champion with the one before on all nights since its promotion, and act on it.

    Both have scored the same rows of these nights: the champion in public, the other in the shadow. Nights
    count once their labels are mature; those whose labels or predictions have changed are measured again.
    Where the champion is worse beyond doubt, the one before is brought back, by ``watch``, and people are
    told. Of what is put on record, nothing moves a champion twice.

    Parameters
    ----------
    dataset, partition_key : str
        The night as of which to look.

    Returns
    -------
    WatchRecord or None
        What this night knows, also in the ledger; once a watch is over, its last record. None where no
        promotion is watched. An old night that is looked at again gives what it knew then, and does nothing.

    Raises
    ------
    IntegrityError
        If the former champion's bytes are not those that were trained: it can't be brought back.
    ConflictError
        If somebody else moves the champion at the same time; a repeat is harmless.
    """
    started = time.monotonic()
    move = runtime.ledger.champions.present(dataset)
    if move is not None and (move.action, move.actor) == ("rollback", WATCH):
        return _finish(move, runtime)
    watched = watched_move(dataset, runtime=runtime)
    if watched is None:
        return None
    subject = str(watched.move.sequence)
    before = runtime.ledger.latest(WatchRecord, dataset, subject=subject)
    if before is not None and before.partition_key > partition_key:
        return runtime.ledger.latest(WatchRecord, dataset, partition_key, subject)
    if before is not None and before.verdict == "kept":
        return before
    record = _look(watched, partition_key, before, runtime)
    record = record.model_copy(update={"duration_seconds": time.monotonic() - started})
    runtime.ledger.record(record)
    if record.verdict == "worse":
        _take_back(watched, record, runtime)
    return record


def _look(
    watched: WatchedMove, partition_key: str, before: WatchRecord | None, runtime: Runtime
) -> WatchRecord:
    """Return what is known as of a night."""
    move, config = watched.move, runtime.dataset(watched.move.dataset)
    promotion = config.promotion
    # Before anything is read: what changes meanwhile is the next night's news.
    versions = {name: runtime.lake.version(move.dataset, table) for name, table in _TABLES.items()}
    nights = watched_nights(watched, runtime=runtime)
    labelled = labelled_nights(move.dataset, nights, partition_key, runtime=runtime)
    reader = _Measuring(watched, runtime, before)
    measured = tuple(reader.measure(labelled))
    evidence = watching.weigh(measured, config.task)
    mature = shift_partition(partition_key, -config.maturity_days)
    is_over = len(nights) >= promotion.watch_nights and nights[-1] <= mature
    champion_value, former_value = watching.mean_values(measured)
    return WatchRecord(
        dataset=move.dataset,
        partition_key=partition_key,
        sequence=move.sequence,
        model_version=move.model_version,
        former_version=watched.former_version,
        metric=primary_metric(config.task).name,
        margin=promotion.watch_margin,
        n_nights=promotion.watch_nights,
        watched=measured,
        nights=tuple(labelled),
        champion_value=champion_value,
        former_value=former_value,
        evidence=evidence,
        threshold=watching.threshold(promotion.watch_confidence),
        verdict=watching.judge(evidence, confidence=promotion.watch_confidence, is_over=is_over),
        **versions,
    )


class _Measuring:
    """Measures nights, and takes over from the look before what has not changed since."""

    def __init__(self, watched: WatchedMove, runtime: Runtime, before: WatchRecord | None) -> None:
        self._watched, self._runtime = watched, runtime
        self._config = runtime.dataset(watched.move.dataset)
        margin = self._config.promotion.watch_margin
        self._known: dict[tuple[str, ...], WatchedNights] = {}
        if before is not None and before.margin == margin:
            changed = self._changed_since(before)
            self._known = {each.nights: each for each in before.watched if changed.isdisjoint(each.nights)}

    def measure(self, nights: Sequence[str]) -> Iterator[WatchedNights]:
        """Yield the comparison of each night; nights of few rows are taken together with later ones."""
        waiting: tuple[str, ...] = ()
        for night in nights:
            waiting = (*waiting, night)
            found = self._known.get(waiting) or self._measured(waiting)
            if found is not None:
                yield found
                waiting = ()

    def _measured(self, nights: tuple[str, ...]) -> WatchedNights | None:
        rows = self._rows(nights)
        arrays = rows.target, rows.public, rows.shadow
        margin = self._config.promotion.watch_margin
        return watching.measure_nights(nights, arrays, self._config.task, margin=margin)

    def _rows(self, nights: Sequence[str]) -> PairedRows:
        move = self._watched.move
        return paired_rows(
            move.dataset,
            nights,
            public=move.model_version,
            shadow=self._watched.former_version,
            runtime=self._runtime,
        )

    def _changed_since(self, before: WatchRecord) -> set[str]:
        lake, changed = self._runtime.lake, set[str]()
        for name, table in _TABLES.items():
            changed |= lake.changed_since(before.dataset, table, getattr(before, name))
        return changed


def _take_back(watched: WatchedMove, record: WatchRecord, runtime: Runtime) -> None:
    """Bring the former champion back, unless the champion has moved since it was looked at."""
    rollback(
        record.dataset,
        runtime=runtime,
        model_version=record.former_version,
        away_from=watched.move.model_version,
        actor=WATCH,
        reason=watching.watch_sentence(record),
    )


def _finish(move: ChampionMove, runtime: Runtime) -> WatchRecord | None:
    """Do what a rollback may have died before (the alias, the message), and return why it was done."""
    rollback(
        move.dataset,
        runtime=runtime,
        model_version=move.model_version,
        actor=WATCH,
        reason=move.reason,
    )
    return runtime.ledger.latest(WatchRecord, move.dataset, subject=str(move.sequence - 1))
