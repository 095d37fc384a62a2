"""Write a version's model card from the record, and attach it to the version in MLflow."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pipelines.errors import HoldfastError
from pipelines.pages.document import Document, Section
from pipelines.pages.document_markdown import document_markdown
from pipelines.pages.document_page import document_page
from pipelines.pages.places import Places
from pipelines.records import ChampionMove, GateRecord, PerformanceRecord, TrainingRecord, WatchRecord
from pipelines.registry.card import CardFacts, card_document, card_summary
from pipelines.registry.card.judged import DECIDED, GATES
from pipelines.registry.card.made import MADE
from pipelines.registry.challengers import training_record
from pipelines.registry.decided import details_table
from pipelines.runtime import Runtime
from pipelines.steps.challengers import said_of
from pipelines.steps.measurements import known_measurements
from pipelines.steps.origin import model_origin

_log = logging.getLogger(__name__)
_ATTEMPTS = 5


def model_card(
    dataset: str, model_version: str, *, runtime: Runtime, places: Places | None = None
) -> Document:
    """Return the model card of a version, as it follows from the record now.

    Parameters
    ----------
    places : Places, optional
        Where its links lead; it has none without.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    EngineError
        If the ledger fails. What MLflow does not give is said in the card.
    """
    return card_document(card_facts(dataset, model_version, runtime=runtime), places=places)


def approval_evidence(dataset: str, model_version: str, *, runtime: Runtime) -> str:
    """Return, as Markdown, what a person should have seen of a challenger before a word on it.

    What was measured of it, or that it was not, and the evidence of each gate; raises as
    :func:`model_card`.
    """
    facts = card_facts(dataset, model_version, runtime=runtime)
    card = card_document(facts)
    told = [section for section in card.sections if section.title not in (GATES, MADE, DECIDED)]
    if facts.gates:
        told.append(Section("The evidence of each gate", [details_table(facts.gates[-1])]))
    return document_markdown(Document(f"The model card of v{model_version}", told, marks=card.marks))


def card_facts(dataset: str, model_version: str, *, runtime: Runtime) -> CardFacts:
    """Return all that a card is written from; raises as :func:`model_card`."""
    record = training_record(dataset, model_version, ledger=runtime.ledger)
    measured = known_measurements(record, runtime=runtime)
    moves = runtime.ledger.champions.history(dataset)
    gates = runtime.ledger.revisions(GateRecord, dataset)
    watches = runtime.ledger.history(WatchRecord, dataset)
    return CardFacts(
        dataset=dataset,
        origin=model_origin(dataset, model_version, runtime=runtime),
        evaluation=measured.evaluation,
        speed=measured.speed,
        selection=measured.selection,
        plots=measured.plots,
        missing=measured.missing,
        gates=tuple(found for found in gates if found.model_version == model_version),
        moves=tuple(moves),
        aliases=tuple(aliases_of(dataset, model_version, moves, runtime)),
        performances=tuple(runtime.ledger.history(PerformanceRecord, dataset, subject=model_version)),
        watches=tuple(found for found in watches if found.model_version == model_version),
        said=tuple(said_of(dataset, model_version, runtime=runtime)),
    )


def aliases_of(
    dataset: str, model_version: str, moves: list[ChampionMove], runtime: Runtime
) -> Iterable[str]:
    """Yield the aliases by the ledger, which decides: MLflow's follow it."""
    if moves and moves[-1].model_version == model_version:
        yield "champion"
    known = {record.model_version for record in runtime.ledger.history(TrainingRecord, dataset)}
    if model_version == max(known, key=_number, default=None):
        yield "challenger"


def _number(model_version: str) -> int:
    return int(model_version) if model_version.isdigit() else -1


def refresh_cards(dataset: str, *model_versions: str | None, runtime: Runtime) -> None:
    """Attach the cards of versions anew, as the record is now; a repeat changes nothing.

    A card is for people to look at: where it can't be attached, the log says so, and nothing fails.

    Parameters
    ----------
    *model_versions : str or None
        None is passed over.
    """
    for version in dict.fromkeys(filter(None, model_versions)):
        try:
            attach_card(dataset, version, runtime=runtime)
        except HoldfastError as error:
            _log.warning("The model card of %s v%s is not up to date in MLflow: %s", dataset, version, error)


def attach_card(dataset: str, model_version: str, *, runtime: Runtime) -> None:
    """Attach the card of a version to it in MLflow.

    Safe to run twice and at once: the record is read again after the card was written, so that a slow
    process can't leave one of the past.

    Raises
    ------
    ConfigError, EngineError
        As :func:`model_card`; also if MLflow does not take it.
    """
    document = model_card(dataset, model_version, runtime=runtime)
    for _ in range(_ATTEMPTS):
        runtime.registry.attach_card(
            dataset,
            model_version,
            markdown=document_markdown(document),
            page=document_page(document),
            summary=document_markdown(card_summary(document)),
        )
        written, document = document, model_card(dataset, model_version, runtime=runtime)
        if document == written:
            return
