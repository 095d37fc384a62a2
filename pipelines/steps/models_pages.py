"""Read what the pages show of models: versions, champions, and who was champion when."""

from __future__ import annotations

from pipelines.errors import ConfigError
from pipelines.metrics import primary_metric
from pipelines.records import GateRecord, TrainingRecord
from pipelines.registry.models_page import Answer, ModelsFacts
from pipelines.runtime import Runtime
from pipelines.steps.challengers import standings
from pipelines.steps.reigns import champion_notes, reign_at


def models_facts(dataset: str, *, runtime: Runtime, at: str | None = None) -> ModelsFacts:
    """Return what is on record of a dataset's models.

    Parameters
    ----------
    at : str, optional
        A night or a time of which a person wants to know the champion, as it was typed.

    Raises
    ------
    ConfigError
        If there is no such dataset.
    EngineError
        If the ledger fails.
    """
    config, ledger = runtime.dataset(dataset), runtime.ledger
    versions: dict[str, TrainingRecord] = {}
    for record in sorted(ledger.revisions(TrainingRecord, dataset), key=lambda found: found.decided_at):
        versions.setdefault(record.model_version, record)
    gates = {record.model_version: record for record in ledger.revisions(GateRecord, dataset)}
    return ModelsFacts(
        dataset=dataset,
        description=config.description,
        metric=primary_metric(config.task).name,
        versions=sorted(versions.values(), key=lambda found: found.decided_at, reverse=True),
        gates=gates,
        standings=standings(dataset, runtime=runtime),
        moves=ledger.champions.history(dataset),
        notes=champion_notes(dataset, runtime=runtime),
        chain=ledger.champions.verify(dataset),
        answer=_answer(dataset, at.strip(), runtime) if at and at.strip() else None,
    )


def _answer(dataset: str, asked: str, runtime: Runtime) -> Answer:
    """Return who was champion; what can't be read is an answer too, and says how to ask."""
    try:
        return Answer(asked, reign_at(dataset, asked, runtime=runtime))
    except ConfigError as error:
        return Answer(asked, problem=str(error))
