"""Bring a table, try it, and list what there is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, print_record
from pipelines.errors import printable

if TYPE_CHECKING:
    from pipelines.steps.add_dataset import AddedDataset
    from pipelines.steps.check_dataset import StageReport

datasets = typer.Typer(help="Bring a table, try it, and list what there is.", no_args_is_help=True)


@datasets.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the dataset is called: small letters, digits and _.")],
    source: Annotated[
        str,
        typer.Argument(
            help="A path or pattern, s3://, http(s)://, or a database (SQLAlchemy URL or env:NAME)."
        ),
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict; guessed by default.")] = None,
    time: Annotated[
        str | None,
        typer.Option(help="When a row happened: a column, several (Date,Time), an expression, or none."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The columns that tell rows apart, between commas, or none.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression.")] = None,
    labels: Annotated[str | None, typer.Option(help="A second file, which holds the target.")] = None,
    labels_key: Annotated[
        str | None, typer.Option(help="The columns that both files have, between commas.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="The table (or SELECT) of a database.")] = None,
    description: Annotated[str | None, typer.Option(help="What is predicted, in a sentence.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    schedule: Annotated[str, typer.Option(help="When its nights run: five cron fields, UTC.")] = "0 2 * * *",
    label_delay_days: Annotated[
        int, typer.Option(min=1, help="How many days after an event its label is known.")
    ] = 1,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a table, say what it is, and write its entry, its features query and its suite."""
    from pipelines.config import load_settings
    from pipelines.onboarding.entry import Wishes
    from pipelines.onboarding.understanding import Asked
    from pipelines.steps.add_dataset import add_dataset
    from pipelines.steps.table_sample import TableRequest

    request = TableRequest(
        source=source,
        table=table,
        labels=labels,
        labels_key=_listed(labels_key) or (),
        asked=Asked(target=target, time=time, key=_listed(key), task=task),
        wishes=Wishes(description, owner, schedule, label_delay_days),
        force=force,
    )
    added = add_dataset(name, request, settings=load_settings())
    print_record(added, as_json, _told(added))


@datasets.command("check")
def check(
    dataset: Dataset,
    night: Annotated[
        str | None, typer.Option(help="The night that is tried; one near the end by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try a dataset end to end on a sample, away from the lake, and explain the first thing that is wrong."""
    from pipelines.config import load_settings
    from pipelines.steps.check_dataset import check_dataset

    record = check_dataset(dataset, settings=load_settings(), night=night, progress=_print_stage)
    sentence = "Everything works." if record.is_sound else f"{record.problem}"
    print_record(record, as_json, sentence)
    if not record.is_sound:
        raise typer.Exit(1)


@datasets.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List the datasets that params.yaml declares."""
    from pipelines.config import load_params, load_settings

    declared = load_params(load_settings().params).datasets
    rows = [
        {
            "dataset": name,
            "enabled": config.enabled,
            "task": config.task,
            "target": config.target,
            "source": ", ".join(config.source.tables.values()),
            "schedule": config.schedule,
            "owner": config.owner,
        }
        for name, config in declared.items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, declared))
    for row in rows:
        state = "on " if row["enabled"] else "off"
        typer.echo(f"{row['dataset']:<{width}}  {state}  {row['task']:<10}  {row['target']}  {row['source']}")


def _listed(text: str | None) -> tuple[str, ...] | None:
    """Return the names between commas; none of ``none``; None where nothing was said."""
    if text is None:
        return None
    return () if text.lower() in ("", "none") else tuple(part.strip() for part in text.split(","))


def _told(added: AddedDataset) -> str:
    """Return what was understood, for a person who reads it in a terminal."""
    when = f"{added.event_time} ({added.first_partition} to {added.last_partition}, {added.n_days} days)"
    features = ", ".join([*added.numeric, *added.categorical])
    lines = [
        f"{added.dataset}: a {added.task} of {added.target}.",
        f"  time      {when if added.event_time else 'none'}",
        f"  key       {', '.join(added.key) or 'none'}",
        f"  columns   {', '.join(f'{name} {kind}' for name, kind in added.columns.items())}",
        f"  features  {features}",
        f"  leaks     {', '.join(added.leaks) or 'none'}",
        "Understood:",
        *(f"  - {sentence}" for sentence in added.understood),
        *(["Not sure, so please look:"] if added.doubts else []),
        *(f"  ? {sentence}" for sentence in added.doubts),
        "Written:",
        *(f"  {path}" for path in added.files),
        f"To undo: take `{added.dataset}` out of params.yaml again, and remove the other files.",
        f"Next: holdfast dataset check {added.dataset}",
    ]
    return "\n".join(printable(line) for line in lines)


def _print_stage(report: StageReport) -> None:
    mark = "ok  " if report.is_sound else "FAIL"
    typer.echo(printable(f"  {mark}  {report.stage:<10} {report.seconds:6.1f} s  {report.said}"), err=True)
