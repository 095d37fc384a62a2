"""The page of a dataset's models: who is champion and was when, and every version with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from pipelines.pages.document import (
    Block,
    Bullets,
    Cell,
    Document,
    Fact,
    Facts,
    Link,
    Mark,
    Prose,
    Section,
    Table,
)
from pipelines.pages.document_page import document_page
from pipelines.pages.markup import shown
from pipelines.pages.places import Places
from pipelines.records import (
    ChainReport,
    ChampionMove,
    ChampionNote,
    GateRecord,
    Reign,
    TrainedModel,
    TrainingRecord,
)
from pipelines.registry.decided import gates_table, short, stamp

ROW_QUESTION = ("Why this prediction?", "The row_id of a row, as it is in the predictions")
_MOMENT = "A night (2013-07-04) or a time, UTC (2013-07-04 02:00)"
_VERBS = {"promote": "promoted", "rollback": "brought back"}
_MAX_VERSIONS, _MAX_QUESTION_CHARS = 100, 60


@dataclass(frozen=True)
class Answer:
    """Who was champion at a moment or for a night.

    Parameters
    ----------
    asked : str
        What a person asked for.
    reign : Reign or None
        The answer.
    problem : str
        Why there is none, where the question can't be read.
    """

    asked: str
    reign: Reign | None = None
    problem: str = ""


@dataclass(frozen=True)
class ModelsFacts:
    """What is on record of a dataset's models.

    Parameters
    ----------
    versions : sequence of TrainingRecord
        One a version, newest first.
    gates : mapping of str to GateRecord
        The newest evidence of each version.
    standings : mapping of str to str
        What is so of versions that their gates do not say: in the shadow, or rejected by a person.
    moves : sequence of ChampionMove
        Oldest first.
    metric : str
        The primary metric.
    chain : ChainReport
        Whether the record of the champions is what was written.
    notes : sequence of ChampionNote
        What was noted beside the moves.
    """

    dataset: str
    description: str
    metric: str
    versions: Sequence[TrainingRecord]
    gates: dict[str, GateRecord]
    moves: Sequence[ChampionMove]
    chain: ChainReport
    notes: Sequence[ChampionNote] = ()
    standings: Mapping[str, str] = field(default_factory=dict)
    answer: Answer | None = None


def models_page(facts: ModelsFacts, places: Places) -> str:
    """Return the page."""
    document = Document(
        f"Models of {facts.dataset}",
        [
            *([_told(facts.answer, places)] if facts.answer else []),
            _now(facts, places),
            _champions(facts, places),
            _versions(facts, places),
        ],
        lead=[Prose(facts.description)],
    )
    trail = [("Holdfast", places.health), (facts.dataset, places.drift(facts.dataset)), ("Models", None)]
    asked = "" if facts.answer is None else facts.answer.asked
    form = question_form("at", ("Who was champion?", _MOMENT), asked, "")
    form += question_form("row", ROW_QUESTION, "", places.row(facts.dataset))
    return document_page(document, trail=trail, form=f'<div class="card asks">{form}</div>')


def question_form(name: str, question: tuple[str, str], value: str, action: str) -> str:
    """Return a form of one field, which asks our own pages and nobody else.

    Parameters
    ----------
    question : tuple of str
        What is asked, and what an answer looks like.
    """
    label, hint = map(shown, question)
    return (
        f'<form class="ask" method="get" action="{shown(action, 2_000)}">'
        f'<label for="{name}">{label}<small>{hint}</small></label><div>'
        f'<input id="{name}" name="{name}" value="{shown(value, 2_000)}" required>'
        '<button type="submit">Show</button></div></form>'
    )


def _told(answer: Answer, places: Places) -> Section:
    asked, reign = answer.asked[:_MAX_QUESTION_CHARS], answer.reign
    title = f"Who was champion at {asked}?"
    if reign is None:
        return Section(title, [Prose(answer.problem, "warning")])
    if (move := reign.move) is None:
        return Section(title, [Prose("There was no champion yet.", "info")])
    facts = [
        Fact("champion", _version(move.dataset, move.model_version, places), f"move {move.sequence}"),
        Fact("from", stamp(move.moved_at), f"for {move.partition_key}"),
        Fact("until", "now" if reign.until is None else stamp(reign.until)),
        Fact(f"{_VERBS.get(move.action, move.action)} by", move.actor),
    ]
    because = Prose(f"Because: {move.reason or 'no reason given'}")
    if reign.scored_by is not None:
        facts.append(Fact("predictions in force", f"v{reign.scored_by}", "of that night"))
    if reign.evidence is None:
        return Section(title, [Facts(facts), because, Prose("Its gate evidence is not on record.", "info")])
    return Section(title, [Facts(facts), because, gates_table(reign.evidence)])


def _now(facts: ModelsFacts, places: Places) -> Section:
    if not facts.moves:
        return Section("The champion", [Prose("There is none yet.", "info")])
    move = facts.moves[-1]
    verb = _VERBS.get(move.action, move.action)
    return Section(
        "The champion",
        [
            Facts(
                [
                    Fact("version", _version(facts.dataset, move.model_version, places)),
                    Fact("since", stamp(move.moved_at), f"for {move.partition_key}"),
                    Fact(f"{verb} by", move.actor),
                ]
            ),
            Prose(f"Because: {move.reason or 'no reason given'}"),
        ],
    )


def _champions(facts: ModelsFacts, places: Places) -> Section:
    if not facts.moves:
        return Section("Who was champion when, and why", [Prose("Nobody yet.")])
    spans = list(zip_longest(facts.moves, facts.moves[1:]))
    rows = [_span(move, following, places) for move, following in reversed(spans) if move is not None]
    head = ("version", "from", "until", "by", "why", "evidence")
    blocks: list[Block] = [Table(head, rows), _chain(facts)]
    if facts.notes:
        blocks.append(Bullets([f"{stamp(n.noticed_at)}, {n.actor}: {n.reason}" for n in facts.notes]))
    return Section("Who was champion when, and why", blocks)


def _chain(facts: ModelsFacts) -> Block:
    command = f"`holdfast champion verify {facts.dataset}`"
    if facts.chain.is_intact:
        return Prose(
            f"Each of the {facts.chain.n_moves} moves, and its evidence, is what was written ({command})."
        )
    broken = "; ".join(f"move {found.sequence}: {found.problem}" for found in facts.chain.breaks)
    return Prose(f"The record was changed. {broken}. Look with {command}.", "critical")


def _span(move: ChampionMove, following: ChampionMove | None, places: Places) -> list[Cell]:
    return [
        _version(move.dataset, move.model_version, places),
        stamp(move.moved_at),
        "now" if following is None else stamp(following.moved_at),
        f"{_VERBS.get(move.action, move.action)} by {move.actor}",
        move.reason or "no reason given",
        short(move.evidence_digest),
    ]


def _versions(facts: ModelsFacts, places: Places) -> Section:
    if not facts.versions:
        return Section("Versions", [Prose("No model was registered yet.", "info")])
    rows = [_version_row(record, facts, places) for record in facts.versions[:_MAX_VERSIONS]]
    head = ("version", "gates", facts.metric, "learned from", "candidate", "registered", "why it was trained")
    blocks = [Table(head, rows, numbers=(facts.metric,))]
    more = len(facts.versions) - _MAX_VERSIONS
    return Section("Versions", [*blocks, *([Prose(f"{more} older ones are in MLflow.")] if more > 0 else [])])


def _version_row(record: TrainingRecord, facts: ModelsFacts, places: Places) -> list[Cell]:
    trained = record.trained
    value = trained.metrics.get(facts.metric)
    return [
        _version(record.dataset, record.model_version, places),
        _verdict(facts.gates.get(record.model_version), facts.standings.get(record.model_version)),
        "–" if value is None else f"{value:.4f}",
        f"{trained.first_partition} to {trained.last_partition}",
        _found(trained),
        stamp(record.decided_at),
        trained.reason or "no reason given",
    ]


def _found(trained: TrainedModel) -> str:
    """Return the candidate, and of how many trials it is the best where there was a search."""
    n_trials = int(trained.metrics.get("search_n_trials", 0))
    return f"{trained.candidate}, the best of {n_trials} trials" if n_trials else trained.candidate


def _verdict(record: GateRecord | None, standing: str | None) -> Mark:
    failed = [] if record is None else [gate.name for gate in record.gates if not gate.is_passed]
    if standing is not None and not failed:
        return Mark("info", standing[:100])
    if record is None:
        return Mark("none", "not judged yet")
    return Mark("critical", f"refused by {', '.join(failed)}"[:100]) if failed else Mark("calm", "passed")


def _version(dataset: str, model_version: str, places: Places) -> Link:
    return Link(f"v{model_version}", places.model(dataset, model_version))
