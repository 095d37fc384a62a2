"""What several commands take and print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.records import Record
    from pipelines.runtime import Runtime

Dataset = Annotated[str, typer.Argument(help="A dataset of params.yaml, such as flights.")]
Partition = Annotated[str, typer.Argument(help="The night's partition key, such as 2013-07-04.")]
Last = Annotated[str | None, typer.Option("--last", help="Do every day up to this one, in one go.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Actor = Annotated[str, typer.Option("--actor", help="Who decides; goes on record.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]


def open_runtime() -> Runtime:
    """Open configuration and stores from the environment."""
    from pipelines.runtime import Runtime

    return Runtime.load()


def print_record(record: Record | None, as_json: bool, sentence: str) -> None:
    """Print a record as JSON, or the sentence that sums it up."""
    if as_json:
        typer.echo(json.dumps(None if record is None else record.to_json(), indent=2))
    else:
        typer.echo(sentence)


def print_progress(what: str, done: int, total: int) -> None:
    """Tell on stderr how far long work has come."""
    if done == total or done % 10 == 0:
        typer.echo(f"  {what}: {done} of {total}", err=True)
