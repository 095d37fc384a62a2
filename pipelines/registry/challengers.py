"""The registered challengers that the ledger knows."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import ConfigError
from pipelines.ledger.ledger import Ledger
from pipelines.records import TrainingRecord

_MAX_NAMED = 12


def training_record(dataset: str, model_version: str, *, ledger: Ledger) -> TrainingRecord:
    """Return the record of a registered challenger.

    Raises
    ------
    ConfigError
        If the ledger knows no such version; names those that it knows.
    """
    record = ledger.latest(TrainingRecord, dataset, subject=model_version)
    if record is None:
        known = [record.model_version for record in ledger.history(TrainingRecord, dataset)]
        raise ConfigError(f"{dataset} has no model version {model_version!r}. {known_versions(known)}")
    return record


def known_versions(versions: Sequence[str]) -> str:
    """Return a sentence that names the versions there are: the newest, if there are many."""
    if not versions:
        return "There is none yet."
    more = f" (and {len(versions) - _MAX_NAMED} older)" if len(versions) > _MAX_NAMED else ""
    return f"Known: {', '.join(versions[-_MAX_NAMED:])}{more}."
