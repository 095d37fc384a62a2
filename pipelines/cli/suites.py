"""Suites: draft, lint, try, compare, replay and show them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pipelines.cli.arguments import AsJson, Dataset, Partition, open_runtime, print_progress
from pipelines.cli.suite_sentences import (
    render_difference,
    render_lint,
    render_replay,
    render_trial,
)
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.validation.replay import DifferingRow
    from pipelines.validation.rules import Stage

suite = typer.Typer(help="Expectation suites: draft, lint, try, compare, replay, show.", no_args_is_help=True)

StageName = Annotated[str, typer.Option("--stage", help="raw, features or predictions.")]
AnyStage = Annotated[str | None, typer.Option("--stage", help="raw, features or predictions; default: all.")]
SuiteFile = Annotated[Path | None, typer.Option("--suite", help="Another file than the dataset's own.")]
Against = Annotated[str | None, typer.Option("--against", help="A file, or a commit of git. Default: HEAD.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file.")]


@suite.command()
def draft(
    dataset: Dataset,
    stage: StageName = "raw",
    first: Annotated[str | None, typer.Option("--first", help="The first night to look at.")] = None,
    last: Annotated[str | None, typer.Option("--last", help="The last night to look at.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this new file; else print.")] = None,
) -> None:
    """Draft a suite from nights that landed, with the reason of every bound beside it."""
    from pipelines.steps.suites import draft as step

    if out is not None and out.exists():
        raise ConfigError(f"{out} exists: people may have edited it. Name another file, or remove it first.")
    text = step(dataset, runtime=open_runtime(), stage=_stage(stage), first=first, last=last)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"Drafted {out}: read it, and run `holdfast suite lint {dataset}`.")


@suite.command()
def lint(
    dataset: Annotated[str | None, typer.Argument(help="A dataset; all of them by default.")] = None,
    stage: AnyStage = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say which engine runs each rule.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say everything that is wrong with suites, each with file, line and column."""
    from pipelines.steps.suites import lint_suites

    reports = lint_suites(dataset, None if stage is None else _stage(stage), runtime=open_runtime())
    if as_json:
        typer.echo(json.dumps([report.to_json() for report in reports], indent=2))
    else:
        typer.echo(render_lint(reports, explain=explain))
    raise typer.Exit(1 if any(report.n_errors for report in reports) else 0)


@suite.command("test")
def try_night(
    dataset: Dataset,
    partition_key: Partition,
    stage: StageName = "raw",
    suite_file: SuiteFile = None,
    as_json: AsJson = False,
) -> None:
    """Try a suite, as it is on disk, on one night; write nothing."""
    from pipelines.steps.suite_trials import try_suite

    trial = try_suite(
        dataset, partition_key, runtime=open_runtime(), stage=_stage(stage), suite_file=suite_file
    )
    typer.echo(json.dumps(trial.to_json(), indent=2) if as_json else render_trial(trial))
    is_met = all(rule.is_met for rule in trial.rules if rule.severity != "info")
    raise typer.Exit(0 if is_met and trial.outcome == "passed" else 1)


@suite.command()
def diff(
    dataset: Dataset,
    stage: StageName = "raw",
    against: Against = None,
    suite_file: SuiteFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed in the meaning of a suite: added, removed, tightened, loosened."""
    from pipelines.steps.suites import diff_suites

    found = diff_suites(
        dataset, runtime=open_runtime(), stage=_stage(stage), against=against, suite_file=suite_file
    )
    typer.echo(json.dumps(found.to_json(), indent=2) if as_json else render_difference(found))
    raise typer.Exit(0 if found.is_same else 1)


@suite.command()
def replay(
    dataset: Dataset,
    last: Annotated[int | None, typer.Option("--last", min=1, help="The newest N landed nights.")] = None,
    first: Annotated[str | None, typer.Option("--first", help="The first night, instead of --last.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="The last night.")] = None,
    suite_file: SuiteFile = None,
    against: Against = None,
    as_json: AsJson = False,
) -> None:
    """Run an edited suite and its baseline over past nights; say what the edit would have changed."""
    from pipelines.steps.replay import Nights
    from pipelines.steps.replay import replay as step

    nights = Nights(last=last, first=first, to=to)
    options: dict[str, Any] = {
        "runtime": open_runtime(),
        "suite_file": suite_file,
        "against": against,
        "progress": print_progress,
    }
    if not as_json:
        found = step(dataset, nights, **options)
        typer.echo(render_replay(found))
    else:
        # The rows may be many: they wait on disk until all is known.
        with tempfile.TemporaryFile("w+", encoding="utf-8") as rows:

            def write(row: DifferingRow) -> None:
                rows.write(json.dumps(row.to_json(), ensure_ascii=False) + "\n")

            found = step(dataset, nights, on_row=write, **options)
            summary = json.dumps(found.to_json(), indent=2, ensure_ascii=False)
            typer.echo(f'{summary[:-2]},\n  "rows": [')
            rows.seek(0)
            for index, line in enumerate(rows):
                typer.echo(f"{',' if index else ' '} {line}", nl=False)
            typer.echo("]}")
    raise typer.Exit(0 if found.is_same and not found.not_judged else 1)


@suite.command()
def docs(dataset: Dataset, stage: StageName = "raw", out: Out = None) -> None:
    """Write a page of the suite as Great Expectations words it: one file, no script."""
    from pipelines.steps.suites import document_suite

    page = document_suite(dataset, runtime=open_runtime(), stage=_stage(stage))
    path = out or Path(f"{dataset}_{stage}.html")
    path.write_text(page, encoding="utf-8")
    typer.echo(f"Wrote {path}.")


def _stage(name: str) -> Stage:
    from pipelines.validation.rules import Stage

    for stage in get_args(Stage):
        if stage == name:
            return stage  # type: ignore[no-any-return]
    raise ConfigError(f"There is no stage {name!r}: it is {', '.join(get_args(Stage))}.")
