"""Which nights were scored, by which version last, and whether they were judged by that."""

from __future__ import annotations

from pipelines.ledger.ledger import Ledger
from pipelines.records import DriftRecord, ScoringRecord


def newest_scorings(dataset: str, first: str, last: str, *, ledger: Ledger) -> dict[str, ScoringRecord]:
    """Return the scoring in force of each night of a range that has one, both ends included."""
    records = ledger.history(ScoringRecord, dataset, first=first, last=last)
    # By age within a night: the last one stays.
    return {record.partition_key: record for record in records}


def nights_scored_by(dataset: str, model_version: str, *, ledger: Ledger) -> list[str]:
    """Return the nights whose predictions in force are a version's, by date."""
    by_it = ledger.history(ScoringRecord, dataset, subject=model_version)
    if not by_it:
        return []
    nights = [record.partition_key for record in by_it]
    newest = newest_scorings(dataset, nights[0], nights[-1], ledger=ledger)
    return [night for night in nights if newest[night].model_version == model_version]


def is_out_of_date(verdict: DriftRecord, scoring: ScoringRecord) -> bool:
    """Return whether a night's verdict is about other predictions than the scoring in force made."""
    if verdict.model_version != scoring.model_version:
        return True
    # A verdict from before its predictions were kept with it does not say.
    return verdict.predictions_digest not in ("", scoring.predictions_digest)
