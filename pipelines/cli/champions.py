"""The champions: who was it when and why, is the record whole, and nights that are scored again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, Partition, open_runtime, print_progress, print_record
from pipelines.errors import IntegrityError

if TYPE_CHECKING:
    from pipelines.records import ChainReport, ChampionMove, Reign

champion = typer.Typer(help="Who was champion when, and why; is the record whole?", no_args_is_help=True)

Why = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]
Who = Annotated[str, typer.Option("--actor", envvar="USER", help="Who decides; goes on record.")]


@champion.command()
def history(dataset: Dataset, as_json: AsJson = False) -> None:
    """List every move of the champion, oldest first, with the notes beside them."""
    from pipelines.steps.reigns import champion_notes

    runtime = open_runtime()
    runtime.dataset(dataset)
    moves, notes = runtime.ledger.champions.history(dataset), champion_notes(dataset, runtime=runtime)
    if as_json:
        content = {"moves": [m.to_json() for m in moves], "notes": [n.to_json() for n in notes]}
        typer.echo(json.dumps(content, indent=2))
        return
    for move in moves:
        typer.echo(_line(move))
    for note in notes:
        typer.echo(f"  note, {note.noticed_at:%Y-%m-%d %H:%M:%S} UTC, by {note.actor}: {note.reason}")
    if not moves:
        typer.echo(f"{dataset} has had no champion yet.")


@champion.command()
def at(
    dataset: Dataset,
    when: Annotated[
        str, typer.Argument(help="A night (2013-07-04), or a moment (2026-03-01T12:00:00+00:00).")
    ],
    as_json: AsJson = False,
) -> None:
    """Answer: who was champion at a moment or for a night, and why?"""
    from pipelines.steps.reigns import reign_at

    reign = reign_at(dataset, when, runtime=open_runtime())
    print_record(reign, as_json, _reign(reign))


@champion.command()
def verify(dataset: Dataset, as_json: AsJson = False) -> None:
    """Hold the record to its chain, its evidence and MLflow; the exit status is 1 if it was changed."""
    from pipelines.steps.champions import verify_champion

    report = verify_champion(dataset, runtime=open_runtime())
    print_record(report, as_json, _report(report))
    if not report.is_intact:
        raise IntegrityError(f"The record of {dataset}'s champions is not what was written.")


@champion.command()
def repair(dataset: Dataset) -> None:
    """Point MLflow's alias at the champion on record, as every night does; one moved by hand is noted."""
    from pipelines.steps.champions import repair_alias

    shown = repair_alias(dataset, runtime=open_runtime())
    found = f"v{shown.found}" if shown.found else "nothing"
    done = f"put back from {found}" if shown.is_repaired else "as on record"
    typer.echo(f"{dataset}: MLflow's alias champion points at v{shown.champion.model_version} ({done}).")


@champion.command()
def accept(dataset: Dataset, reason: Why, actor: Who, as_json: AsJson = False) -> None:
    """Take the record as it is for the true one, as after a restored backup; goes on record."""
    from pipelines.steps.champions import accept_record

    note = accept_record(dataset, actor=actor, reason=reason, runtime=open_runtime())
    print_record(
        note, as_json, f"{dataset}: the record up to move {note.sequence} is taken for the true one."
    )


def rescore(
    dataset: Dataset,
    first: Partition,
    reason: Why,
    actor: Who,
    last: Annotated[str | None, typer.Option("--last", help="The last night; default: the first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score nights again with the champion, and monitor them again; the predictions so far are kept."""
    rescore_nights(dataset, first, last or first, actor=actor, reason=reason, as_json=as_json)


def rescore_nights(
    dataset: str, first: str, last: str, *, actor: str, reason: str, as_json: bool = False
) -> None:
    """Score a range of nights again, and print what became of them."""
    from pipelines.steps.rescore import rescore as step
    from pipelines.steps.superseded import Why

    done = step(
        dataset,
        first,
        last,
        runtime=open_runtime(),
        why=Why(actor, reason),
        progress=print_progress,
    )
    lines = [
        f"{dataset} v{done.model_version}: {len(done.rescored)} night(s) scored again ({done.n_rows} rows), "
        f"{len(done.unchanged)} were its own already."
    ]
    lines += [f"  {night} stays as it is: {why}" for night, why in done.left.items()]
    if done.judged:
        lines.append(f"{len(done.judged)} night(s) monitored again: {', '.join(done.judged)}.")
    lines += [f"  {night} could not be monitored again: {why}" for night, why in done.unjudged.items()]
    print_record(done, as_json, "\n".join(lines))


def _line(move: ChampionMove) -> str:
    return (
        f"{move.sequence}. {move.action} v{move.model_version} for {move.partition_key}, "
        f"{move.moved_at:%Y-%m-%d %H:%M:%S} UTC, by {move.actor}: {move.reason}  [{move.digest[:16]}]"
    )


def _reign(reign: Reign) -> str:
    if reign.move is None:
        return f"{reign.dataset} had no champion at {reign.asked}."
    until = "now" if reign.until is None else f"{reign.until:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"{reign.dataset} at {reign.asked}: v{reign.move.model_version}, until {until}.",
        f"  {_line(reign.move)}",
    ]
    if reign.scored_by is not None:
        lines.append(f"  The predictions in force for that night are v{reign.scored_by}'s.")
    if reign.evidence is None:
        return "\n".join([*lines, "  The gate evidence of its promotion is not on record."])
    gates = [
        f"    {'pass' if gate.is_passed else 'FAIL'}  {gate.name}: {gate.observed} ({gate.required})"
        for gate in reign.evidence.gates
    ]
    return "\n".join([*lines, f"  Evidence {reign.evidence.digest[:16]}:", *gates])


def _report(report: ChainReport) -> str:
    head = "none" if report.head is None else f"{report.head.sequence} {report.head.digest[:16]}"
    lines = [f"{report.dataset}: {report.n_moves} move(s), the newest is {head}."]
    lines += [f"  BROKEN  move {found.sequence}: {found.problem}" for found in report.breaks]
    if report.is_intact:
        lines.append("  Every move and its evidence is what was written.")
    if report.not_checked:
        lines.append(f"  {report.not_checked}")
    elif report.n_moves:
        lines.append(f"  MLflow was told of move {report.anchor.sequence if report.anchor else 'none'}.")
        lines.append(f"  MLflow's alias champion points at v{report.alias}.")
    return "\n".join(lines)
