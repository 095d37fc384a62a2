"""Explain a prediction: which model decided it, and what made that model; by the id of its row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from pipelines.bundle.files import PREDICTION, PROBABILITY
from pipelines.errors import NotReadyError
from pipelines.records import (
    AmendmentRecord,
    ChampionMove,
    GateRecord,
    IngestionRecord,
    ScoringRecord,
    StageValidationRecord,
    SupersessionRecord,
    ValidationRecord,
)
from pipelines.registry.row_passport import ModelOrigin, RowOutcome, RowPassport, SupersededScoring
from pipelines.runtime import Runtime
from pipelines.steps.origin import model_origin
from pipelines.steps.superseded import SUPERSEDED
from pipelines.storage.digest import ROW_KEY, table_digest
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.storage.rows import find_rows, ids_near, partition_of

# Partitions of more rows are hashed only where somebody asks for it: that takes seconds.
_MAX_ROWS_HASHED = 20_000
_QUARANTINES = ("quarantine", "quarantine_features", "quarantine_predictions")
_TOLD_ELSEWHERE = (ROW_KEY, "event_time", "model_version")


def explain(dataset: str, row_id: str, *, runtime: Runtime, verify: bool = False) -> RowPassport:
    """Gather all that is on record about one row and its prediction.

    Parameters
    ----------
    row_id : str
        As in the column ``row_id`` of ``validated`` and ``predictions``; it begins with the row's night.
    verify : bool
        Hash the predictions of the row's night however many they are, and say whether they are those on
        record. Up to 20,000 rows that is always done.

    Raises
    ------
    ConfigError
        If there is no such dataset, or the id names no night.
    NotReadyError
        If no row of that id ever landed; names those that come next to it.
    EngineError
        If the ledger or the lake fails.
    """
    return next(explain_rows(dataset, [row_id], runtime=runtime, verify=verify))


def explain_rows(
    dataset: str, row_ids: Iterable[str], *, runtime: Runtime, verify: bool = False
) -> Iterator[RowPassport]:
    """Yield the passport of one row after another; what rows share is looked up once.

    Raises
    ------
    ConfigError, NotReadyError, EngineError
        As :func:`explain`, at the row that it is about.
    """
    runtime.dataset(dataset)
    desk = _Desk(dataset, runtime, verify)
    for row_id in row_ids:
        yield desk.passport(row_id)


class _Night(NamedTuple):
    """Every decision about one night, oldest first."""

    ingestions: list[IngestionRecord]
    validations: list[ValidationRecord]
    stages: list[StageValidationRecord]
    amendments: list[AmendmentRecord]
    scorings: list[ScoringRecord]
    supersessions: list[SupersessionRecord]


class _Desk:
    """Issues passports; keeps what it has looked up of nights and models."""

    def __init__(self, dataset: str, runtime: Runtime, verify: bool) -> None:
        self._dataset, self._runtime, self._verify = dataset, runtime, verify
        self._ledger = runtime.ledger
        self._night = cache(self._read_night)
        self._origin = cache(self._read_origin)
        self._is_intact = cache(self._hash)
        self._moves = runtime.ledger.champions.history(dataset)

    def passport(self, row_id: str) -> RowPassport:
        """Return the passport of a row."""
        key = partition_of(row_id)
        night = self._night(key)
        predicted = next(iter(self._find("predictions", row_id)), None)
        landed = next(iter(self._find("raw", row_id)), None)
        found: dict[str, Any] = {"dataset": self._dataset, "row_id": row_id, "partition_key": key}
        found |= {name: (landed or {}).get(name) for name in ("event_time", "source_file", "source_line")}
        found["amendments"] = tuple(night.amendments)
        if predicted is None:
            found |= _verdicts(night, None)
            return RowPassport(**found, **self._without_prediction(row_id, landed is not None))
        version = str(predicted["model_version"])
        scoring = next((r for r in reversed(night.scorings) if r.model_version == version), None)
        found |= _verdicts(night, scoring)
        found["event_time"] = predicted["event_time"]
        found["prediction"] = {n: value for n, value in predicted.items() if n not in _TOLD_ELSEWHERE}
        kept = self._find(SUPERSEDED, row_id) if night.supersessions else []
        return RowPassport(**found, **self._decided(version, scoring, night, kept))

    def _decided(
        self, version: str, scoring: ScoringRecord | None, night: _Night, kept: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return which model scored a row, what made it, and who let it."""
        origin = self._origin(version)
        promotion = self._promotion(version, scoring)
        present = self._champion_when(scoring)
        gates = None
        if promotion is not None and promotion.action == "promote":
            gates = self._ledger.find(GateRecord, self._dataset, promotion.evidence_digest)
        return {
            "outcome": "predicted",
            "is_intact": None if scoring is None else self._is_intact(scoring),
            "scoring": scoring,
            "model": origin,
            "promotion": promotion,
            "was_champion": None if scoring is None or present is None else present.model_version == version,
            "gates": gates,
            "superseded": tuple(_superseded(night, kept, scoring)),
            "missing": tuple(_missing(scoring, origin, promotion, gates)),
        }

    def _without_prediction(self, row_id: str, has_landed: bool) -> dict[str, Any]:
        reasons = {table: _reasons(self._find(table, row_id)) for table in _QUARANTINES}
        is_published = bool(self._find("validated", row_id))
        outcome: RowOutcome
        if reasons["quarantine"] and not is_published:
            outcome = "quarantined"
        elif is_published:
            is_withheld = reasons["quarantine_features"] or reasons["quarantine_predictions"]
            outcome = "withheld" if is_withheld else "unscored"
        elif has_landed:
            outcome = "landed"
        else:
            raise NotReadyError(self._unknown(row_id))
        return {"outcome": outcome, "reasons": tuple(text for found in reasons.values() for text in found)}

    def _unknown(self, row_id: str) -> str:
        night = partition_of(row_id)
        near = ids_near(self._runtime.lake, self._dataset, "validated", row_id)
        hint = (
            f"Ids that come next to it: {', '.join(near)}." if near else f"No row of {night} comes after it."
        )
        return f"{self._dataset} has no row {row_id!r} in {night}. {hint}"

    def _find(self, table: str, row_id: str) -> list[dict[str, Any]]:
        return find_rows(self._runtime.lake, self._dataset, table, row_id)

    def _read_night(self, key: str) -> _Night:
        ledger, dataset = self._ledger, self._dataset
        return _Night(
            ledger.revisions(IngestionRecord, dataset, key),
            ledger.revisions(ValidationRecord, dataset, key),
            ledger.revisions(StageValidationRecord, dataset, key),
            ledger.revisions(AmendmentRecord, dataset, key),
            ledger.revisions(ScoringRecord, dataset, key),
            ledger.revisions(SupersessionRecord, dataset, key),
        )

    def _read_origin(self, version: str) -> ModelOrigin:
        return model_origin(self._dataset, version, runtime=self._runtime)

    def _hash(self, scoring: ScoringRecord) -> bool | None:
        """Return whether the predictions of a night are those on record; None for too many to look at."""
        if scoring.n_rows > _MAX_ROWS_HASHED and not self._verify:
            return None
        rows = self._runtime.lake.read(self._dataset, "predictions", partitions=[scoring.partition_key])
        return table_digest(rows.drop_columns([PARTITION_COLUMN])) == scoring.predictions_digest

    def _champion_when(self, scoring: ScoringRecord | None) -> ChampionMove | None:
        if scoring is None:
            return None
        before = [move for move in self._moves if move.moved_at <= scoring.decided_at]
        return before[-1] if before else None

    def _promotion(self, version: str, scoring: ScoringRecord | None) -> ChampionMove | None:
        """Return the move that had made the version champion when it scored; else the first that did."""
        moves = [move for move in self._moves if move.model_version == version]
        before = [move for move in moves if scoring is None or move.moved_at <= scoring.decided_at]
        return before[-1] if before else next(iter(moves), None)


def _verdicts(night: _Night, scoring: ScoringRecord | None) -> dict[str, Any]:
    """Return what a prediction rests on: the very rows that were scored; without one, the newest."""
    newest = night.validations[-1] if night.validations else None
    validation = newest
    if scoring is not None:
        published = (r for r in reversed(night.validations) if r.validated_digest == scoring.validated_digest)
        validation = next(published, None)
    landed = [r for r in night.ingestions if validation is None or r.raw_digest == validation.raw_digest]
    stages = {
        record.stage: record
        for record in night.stages
        if scoring is None or record.model_version == scoring.model_version
    }
    return {
        "ingestion": landed[-1] if landed else None,
        "validation": validation,
        "stages": tuple(stages[name] for name in sorted(stages)),
        "is_stale": scoring is not None
        and newest is not None
        and newest.validated_digest != scoring.validated_digest,
    }


def _superseded(
    night: _Night, kept: list[dict[str, Any]], stands: ScoringRecord | None
) -> Iterator[SupersededScoring]:
    """Yield the scorings of a night that are not in force, with what was kept of one row."""
    in_force = None if stands is None else stands.predictions_digest
    scorings = {record.predictions_digest: record for record in night.scorings}
    marks = {record.predictions_digest: record for record in night.supersessions}
    rows = {row["predictions_digest"]: row for row in kept}
    for digest in dict.fromkeys([*marks, *scorings]):
        if digest == in_force:
            continue
        scoring, mark, row = scorings.get(digest), marks.get(digest), rows.get(digest)
        about = scoring or marks[digest]
        yield SupersededScoring(
            model_version=about.model_version,
            scored_at=scoring and scoring.decided_at,
            predictions_digest=digest,
            n_rows=about.n_rows,
            prediction=row and {n: v for n, v in row.items() if n == PREDICTION or n.startswith(PROBABILITY)},
            superseded_by=mark and mark.superseded_by,
            superseded_at=mark and mark.decided_at,
            actor=mark and mark.actor,
            why=mark and mark.reason,
        )


def _missing(
    scoring: ScoringRecord | None,
    origin: ModelOrigin,
    promotion: ChampionMove | None,
    gates: GateRecord | None,
) -> Iterator[str]:
    if scoring is None:
        yield "the scoring: no record of it by this version is in the ledger"
    elif scoring.run_id is None:
        yield "the Dag run that scored it: it was done outside Airflow, or before runs were kept on record"
    if promotion is None:
        yield "the promotion: this version was never champion; somebody scored with it by name"
    elif promotion.action == "promote" and gates is None:
        yield "the evidence of the promotion: the ledger has no gates of that digest"
    yield from origin.missing


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Return why rows are in quarantine, a sentence a rule."""
    found = []
    for row in rows:
        for reason in json.loads(row["reasons"]):
            column = f" ({reason['column']})" if reason.get("column") else ""
            found.append(f"{reason['rule']}{column}: {json.dumps(reason.get('value'), ensure_ascii=False)}")
    return found
