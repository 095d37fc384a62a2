"""The challengers in the champion's shadow: how far they have come, and how to take one out."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, open_runtime, print_record

challenger = typer.Typer(
    help="Who scores in the champion's shadow before its gates? Take one out.", no_args_is_help=True
)

Version = Annotated[str, typer.Argument(help="A model version, such as 7.")]
Why = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]
Who = Annotated[str, typer.Option("--actor", envvar="USER", help="Who decides; goes on record.")]


@challenger.command("list")
def list_challengers(dataset: Dataset, as_json: AsJson = False) -> None:
    """List the challengers that wait in the shadow for their gates, oldest first."""
    from pipelines.steps.shadow_state import waiting_challengers

    states = [state for _, state in waiting_challengers(dataset, runtime=open_runtime())]
    if as_json:
        typer.echo(json.dumps([state.to_json() for state in states], indent=2))
        return
    for state in states:
        typer.echo(f"{state.sentence}.")
    if not states:
        typer.echo(f"No challenger of {dataset} waits in the champion's shadow.")


@challenger.command()
def withdraw(dataset: Dataset, version: Version, reason: Why, actor: Who, as_json: AsJson = False) -> None:
    """Take a challenger out of the shadow; its gates refuse it from now on."""
    from pipelines.steps.withdraw import withdraw as step

    said = step(dataset, version, runtime=open_runtime(), actor=actor, reason=reason)
    print_record(
        said,
        as_json,
        f"{dataset} v{version} is out of the champion's shadow, by {said.actor} at "
        f"{said.decided_at:%Y-%m-%d %H:%M:%S} UTC: {said.reason}\n"
        f"Undo: holdfast challenger resume {dataset} {version} --reason ...",
    )


@challenger.command()
def resume(dataset: Dataset, version: Version, reason: Why, actor: Who, as_json: AsJson = False) -> None:
    """Let a challenger that was taken out into the shadow again; its nights so far count."""
    from pipelines.steps.withdraw import resume as step

    said = step(dataset, version, runtime=open_runtime(), actor=actor, reason=reason)
    print_record(
        said,
        as_json,
        f"{dataset} v{version} may score in the champion's shadow again, by {said.actor}: {said.reason}",
    )
