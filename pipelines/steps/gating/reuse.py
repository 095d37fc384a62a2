"""Which challengers met this champion on the same days before, and were no better."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.records import GateRecord, TrainedModel, TrainingRecord
from pipelines.runtime import Runtime


def refused_before(
    training: TrainingRecord, champion: str | None, earlier: Sequence[GateRecord], *, runtime: Runtime
) -> list[str]:
    """Return the versions that were found no better than a champion on days of this challenger's holdout.

    Those that were judged after this challenger first was do not count, so that a repeat gives the same
    evidence; nor do repeats, nor other versions with the same bytes. One that was better on those days
    counts neither, whatever else it was refused for: its share of the risk is given back.

    Parameters
    ----------
    champion : str, optional
        The present champion's version.
    earlier : sequence of GateRecord
        Every record of the dataset's gates, oldest first.
    """
    if champion is None:
        return []
    trainings = {
        record.model_version: record.trained
        for record in runtime.ledger.revisions(TrainingRecord, training.dataset)
    }
    found: dict[str, str] = {}
    for record in earlier:
        if record.champion_version != champion:
            continue
        if record.bundle_digest == training.trained.bundle_digest:
            break
        trained = trainings.get(record.model_version)
        if _was_no_better(record) and trained and _overlap(trained, training.trained):
            found.setdefault(record.bundle_digest, record.model_version)
    return list(found.values())


def _was_no_better(record: GateRecord) -> bool:
    return any(gate.name == "beats_champion" and not gate.is_passed for gate in record.gates)


def _overlap(one: TrainedModel, other: TrainedModel) -> bool:
    return one.holdout_first <= other.last_partition and other.holdout_first <= one.last_partition
