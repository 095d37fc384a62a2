"""The quarantine: look into it, release or repair rows, take that back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, Partition, open_runtime, print_record
from pipelines.errors import ConfigError, printable

if TYPE_CHECKING:
    from pipelines.records import AmendmentRecord
    from pipelines.steps.quarantine import QuarantinedNight, QuarantinedRow

quarantine = typer.Typer(help="Look into the quarantine; release or repair rows.", no_args_is_help=True)

Rule = Annotated[
    str | None, typer.Option("--rule", help="A rule, such as cast:distance; alone or with its columns: f(x).")
]
Ids = Annotated[list[str] | None, typer.Option("--id", help="A row's quarantine_id; may be repeated.")]
Everything = Annotated[bool, typer.Option("--all", help="Every row that there is.")]
Why = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]
Who = Annotated[str, typer.Option("--actor", envvar="USER", help="Who decides; goes on record.")]
_MAX_SHOWN_CHARS = 200


@quarantine.command("list")
def list_nights(
    dataset: Dataset,
    first: Annotated[str | None, typer.Option(help="The first night.")] = None,
    last: Annotated[str | None, typer.Option(help="The last night.")] = None,
    rule: Rule = None,
    as_json: AsJson = False,
) -> None:
    """List the nights with rows in quarantine: how many, by which rules, and what was amended so far."""
    from pipelines.steps.quarantine import list_nights as step

    nights = step(dataset, runtime=open_runtime(), first=first, last=last, rule=rule)
    if as_json:
        typer.echo(json.dumps([night.to_json() for night in nights], indent=2))
        return
    for night in nights:
        _print_night(night)
    if not nights:
        typer.echo("Nothing is in quarantine.")


@quarantine.command()
def show(
    dataset: Dataset,
    partition_key: Partition,
    rule: Rule = None,
    ids: Ids = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many rows to print.")] = 20,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write all of them to this .jsonl or .csv file instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show rows: where each came from, every rule that it breaks with the value, and its cells."""
    from pipelines.steps.quarantine import export_rows, show_rows

    runtime = open_runtime()
    if out is not None:
        n_rows = export_rows(dataset, partition_key, out, runtime=runtime, rule=rule, ids=ids or ())
        typer.echo(
            f"Wrote {n_rows} rows to {out}. Edit the cells, then "
            f"`holdfast quarantine repair {dataset} {partition_key} {out} --reason ...`."
        )
        return
    rows = show_rows(dataset, partition_key, runtime=runtime, rule=rule, ids=ids or (), limit=limit)
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=2))
        return
    for row in rows:
        _print_row(row)
    if not rows:
        typer.echo("No such row is in quarantine.")


@quarantine.command()
def release(
    dataset: Dataset,
    partition_key: Partition,
    reason: Why,
    actor: Who,
    ids: Ids = None,
    rule: Rule = None,
    is_all: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Let rows rejoin their partition as they are."""
    from pipelines.steps.amend import Request
    from pipelines.steps.amend import release as step

    request = Request(dataset, partition_key, actor, reason)
    record = step(request, runtime=open_runtime(), ids=ids or (), rule=rule, is_all=is_all)
    print_record(record, as_json, _sentences(record))


@quarantine.command()
def repair(
    dataset: Dataset,
    partition_key: Partition,
    reason: Why,
    actor: Who,
    path: Annotated[Path | None, typer.Argument(help="The edited export, .jsonl or .csv.")] = None,
    ids: Ids = None,
    cells: Annotated[
        list[str] | None,
        typer.Option("--set", help="column=value, for the rows of --id; an empty value is null."),
    ] = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Look for mistakes, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replace cells: by an edited export, or by --id and --set. All of it is done, or nothing."""
    from pipelines.steps.amend import Request
    from pipelines.steps.amend import repair as step

    given = {key: _assignments(cells) for key in ids} if ids and cells else None
    request = Request(dataset, partition_key, actor, reason)
    record = step(request, runtime=open_runtime(), path=path, cells=given, is_dry_run=is_dry_run)
    if isinstance(record, int):
        typer.echo(f"{record} rows would be repaired; nothing was written.")
    else:
        print_record(record, as_json, _sentences(record))


@quarantine.command()
def undo(
    dataset: Dataset,
    partition_key: Partition,
    reason: Why,
    actor: Who,
    ids: Ids = None,
    is_all: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Take releases and repairs back."""
    from pipelines.steps.amend import Request
    from pipelines.steps.amend import undo as step

    request = Request(dataset, partition_key, actor, reason)
    record = step(request, runtime=open_runtime(), ids=ids or (), is_all=is_all)
    print_record(record, as_json, _sentences(record))


def _assignments(cells: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for cell in cells:
        name, mark, value = cell.partition("=")
        if not mark:
            raise ConfigError(f"--set {cell[:60]}: write it as column=value.")
        found[name] = value or None
    return found


def _sentences(record: AmendmentRecord) -> str:
    """Return what came of a request, in lines."""
    done = {"release": "released", "repair": "repaired"}.get(record.action, "taken back")
    lines = [
        f"{record.dataset} {record.partition_key}: {record.n_rows} rows {done}; "
        f"{record.n_rejoined} rejoined, {record.n_staying} are in quarantine.",
        f"The night is {record.outcome}: {record.n_published} published, "
        f"{record.n_quarantined} in quarantine.",
        *(f"  stays: {_shown(why)}" for why in (*record.still_broken, *record.not_released)),
        *(f"  next: {_shown(what)}" for what in record.dependents),
    ]
    return "\n".join(lines)


def _print_night(night: QuarantinedNight) -> None:
    typer.echo(
        f"{night.partition_key}  {night.outcome:7}  {night.n_quarantined} of {night.n_in} rows "
        f"({night.quarantined_fraction:.2%}) in quarantine; {night.n_amended} repaired, "
        f"{night.n_released} released"
    )
    for rule in night.rules:
        typer.echo(f"    {rule.n_rows:8}  {rule.severity:8}  {_shown(f'{rule.rule}({rule.column})')}")


def _print_row(row: QuarantinedRow) -> None:
    place = f"{row.source_file or '?'}:{'?' if row.source_line is None else row.source_line}"
    typer.echo(f"{row.quarantine_id}  {_shown(place)}")
    for reason in row.reasons:
        value = json.dumps(reason.get("value"), ensure_ascii=False)
        rule = _shown(f"{reason['rule']}({reason['column']})")
        why = f" ({_shown(str(reason['why']))})" if "why" in reason else ""
        typer.echo(f"    breaks {rule}: {_shown(value)}{why}")
    typer.echo(f"    {_shown(json.dumps(row.row, ensure_ascii=False), 4_000)}")


def _shown(text: str, n_chars: int = _MAX_SHOWN_CHARS) -> str:
    return printable(text[:n_chars]) + ("" if len(text) <= n_chars else "…")
