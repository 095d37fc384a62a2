"""The part of a card that says who decided: the gates with their evidence, and the moves of the champion."""

from __future__ import annotations

from itertools import zip_longest

from pipelines.pages.document import Block, Bullets, Cell, Fact, Facts, Link, Mark, Prose, Section, Table
from pipelines.pages.places import Places
from pipelines.records import ChampionMove, GateRecord
from pipelines.registry.card.facts import CardFacts
from pipelines.registry.decided import details_table, gates_table, short, stamp

_LEAD_CHARS = 240
GATES, DECIDED = "What its gates found", "When it was champion"
_VERBS = {"promote": "promoted", "rollback": "brought back"}


def lead(facts: CardFacts) -> list[Prose]:
    """Return what a person looks for first: why it was refused, and what people said of it last."""
    told = [Prose(facts.said[-1], "info")] if facts.said else []
    failed = [gate for gate in facts.gates[-1].gates if not gate.is_passed] if facts.gates else []
    if failed:
        why = "; ".join(f"{gate.name} ({gate.observed[:_LEAD_CHARS]})" for gate in failed)
        told.insert(0, Prose(f"Refused by {why}.", "critical"))
    return told


def gates_section(facts: CardFacts) -> Section:
    """Return the newest evidence, gate by gate, and that there was other before."""
    if not facts.gates:
        return Section(GATES, [Prose("Its gates were not evaluated yet.", "info")])
    newest = facts.gates[-1]
    blocks: list[Block] = [Prose(_verdict(newest)), gates_table(newest)]
    if any(gate.details for gate in newest.gates):
        blocks.append(details_table(newest))
    if len(facts.gates) > 1:
        blocks.append(_earlier(facts.gates[:-1]))
    return Section(GATES, blocks)


def _verdict(record: GateRecord) -> str:
    against = (
        "there was no champion yet" if record.champion_version is None else f"v{record.champion_version}"
    )
    failed = [gate.name for gate in record.gates if not gate.is_passed]
    verdict = f"refused by {', '.join(failed)}" if failed else f"all {len(record.gates)} passed"
    run = record.run_id or "no Dag run that is known"
    value = "" if record.champion_value is None else f" against {record.champion_value:.4f}"
    return (
        f"{stamp(record.decided_at)}: {verdict}. {record.metric} {record.challenger_value:.4f}{value}; "
        f"champion: {against}. Evidence {short(record.digest)}, in {run}."
    )


def _earlier(records: tuple[GateRecord, ...]) -> Table:
    rows: list[list[Cell]] = []
    for record in reversed(records):
        failed = [gate.name for gate in record.gates if not gate.is_passed]
        mark = Mark("critical", f"refused by {', '.join(failed)}") if failed else Mark("calm", "passed")
        rows.append([stamp(record.decided_at), mark, short(record.digest)])
    return Table(("when", "verdict", "evidence"), rows, caption="It was judged before")


def decisions_section(facts: CardFacts, places: Places | None) -> Section:
    """Return when the version was champion, by whom and why."""
    spans = [
        (move, following)
        for move, following in zip_longest(facts.moves, facts.moves[1:])
        if move.model_version == facts.model_version
    ]
    if not spans:
        blocks: list[Block] = [Prose("Never.")]
    else:
        rows = [_span_row(move, following) for move, following in spans]
        blocks = [Table(("from", "until", "by", "why", "evidence"), rows)]
    if facts.said:
        blocks.append(Bullets(facts.said))
    if places is not None:
        blocks.append(Facts([Fact("of this dataset", Link("all champions", places.models(facts.dataset)))]))
    return Section(DECIDED, blocks)


def _span_row(move: ChampionMove, following: ChampionMove | None) -> list[Cell]:
    until = "now" if following is None else f"{stamp(following.moved_at)}, then v{following.model_version}"
    return [
        stamp(move.moved_at),
        until,
        f"{_VERBS.get(move.action, move.action)} by {move.actor}",
        move.reason or "no reason given",
        short(move.evidence_digest),
    ]
