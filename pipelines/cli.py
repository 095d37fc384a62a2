"""The command ``holdfast``: verbs that parse arguments, call a step, and print its record."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import ConfigError, HoldfastError

if TYPE_CHECKING:
    from pipelines.records import Record
    from pipelines.runtime import Runtime

app = typer.Typer(
    name="holdfast",
    help="Keep machine-learning models from drifting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
show = typer.Typer(help="Look at what is on record.", no_args_is_help=True)
app.add_typer(show, name="show")

Dataset = Annotated[str, typer.Argument(help="A dataset of params.yaml, such as flights.")]
Partition = Annotated[str, typer.Argument(help="The night's partition key, such as 2013-07-04.")]
Last = Annotated[str | None, typer.Option("--last", help="Do every day up to this one, in one go.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Actor = Annotated[str, typer.Option("--actor", help="Who decides; goes on record.")]
ApiPort = Annotated[int | None, typer.Option(help="Airflow's port; 8080 by default.")]
MlflowPort = Annotated[int | None, typer.Option(help="MLflow's port; 5000 by default.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]


def main() -> None:
    """Run the command; a Holdfast error becomes one sentence and an exit status."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app()
    except HoldfastError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


# No library phones home, whoever starts us.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def _runtime() -> Runtime:
    from pipelines.runtime import Runtime

    return Runtime.load()


def _print(record: Record | None, as_json: bool, sentence: str) -> None:
    if as_json:
        typer.echo(json.dumps(None if record is None else record.to_json(), indent=2))
    else:
        typer.echo(sentence)


def _progress(what: str, done: int, total: int) -> None:
    if done == total or done % 10 == 0:
        typer.echo(f"  {what}: {done} of {total}", err=True)


@app.command()
def ingest(dataset: Dataset, partition_key: Partition, last: Last = None, as_json: AsJson = False) -> None:
    """Land a night's rows, and the labels that it brings, in the lake."""
    from pipelines.steps.ingest import ingest as step
    from pipelines.steps.ingest import ingest_range

    runtime = _runtime()
    if last is None:
        records = [step(dataset, partition_key, runtime=runtime)]
    else:
        records = ingest_range(dataset, partition_key, last, runtime=runtime, progress=_progress)
    n_rows, n_labels = sum(r.n_rows for r in records), sum(r.n_labels for r in records)
    _print(
        records[-1], as_json, f"Landed {n_rows} rows and {n_labels} labels of {len(records)} partition(s)."
    )


@app.command()
def validate(dataset: Dataset, partition_key: Partition, last: Last = None, as_json: AsJson = False) -> None:
    """Hold a landed partition to its expectations; publish the good rows, quarantine the bad."""
    from pipelines.steps.validate import validate as step
    from pipelines.steps.validate import validate_range

    runtime = _runtime()
    if last is None:
        records = [step(dataset, partition_key, runtime=runtime)]
    else:
        records = validate_range(dataset, partition_key, last, runtime=runtime, progress=_progress)
    refused = [r.partition_key for r in records if r.outcome == "refused"]
    sentence = (
        f"Published {sum(r.n_published for r in records)} rows, quarantined "
        f"{sum(r.n_quarantined for r in records)}; refused: {', '.join(refused) or 'none'}."
    )
    _print(records[-1], as_json, sentence)


@app.command()
def score(
    dataset: Dataset,
    partition_key: Partition,
    model_version: Annotated[str | None, typer.Option("--version", help="Default: the champion.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a published partition with the champion."""
    from pipelines.steps.score import score as step

    record = step(dataset, partition_key, runtime=_runtime(), model_version=model_version)
    _print(
        record,
        as_json,
        f"Scored {record.n_rows} rows with {dataset} v{record.model_version} on {record.device}.",
    )


@app.command()
def monitor(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Measure performance on the labels that arrived, and drift against the champion's reference."""
    from pipelines.steps.monitor import monitor as step
    from pipelines.steps.reconcile import reconcile

    runtime = _runtime()
    reconcile(dataset, partition_key, runtime=runtime)
    record = step(dataset, partition_key, runtime=runtime)
    state = "confirmed drift" if record.is_confirmed else "alarm" if record.is_alarm else "calm"
    kinds = f" ({', '.join(record.kinds)})" if record.kinds else ""
    _print(
        record,
        as_json,
        f"{partition_key}: {state}{kinds}; {record.drifted_fraction:.0%} of the columns drifted.",
    )


@app.command()
def retrain(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Decide whether a night's drift is worth a retraining; a go is put on record."""
    from pipelines.steps.retrain import decide_retraining

    verdict = decide_retraining(dataset, partition_key, runtime=_runtime())
    _print(verdict, as_json, f"{partition_key}: {verdict.verdict}: {verdict.reason}")


@app.command()
def train(
    dataset: Dataset,
    partition_key: Partition,
    first: Annotated[str | None, typer.Option(help="The first day to learn from.")] = None,
    reason: Reason = "by hand",
    as_json: AsJson = False,
) -> None:
    """Train a challenger on all that was known at a night, and register it."""
    from pipelines.steps.register import register
    from pipelines.steps.train import train as step

    runtime = _runtime()
    trained = step(dataset, partition_key, runtime=runtime, first_partition=first, reason=reason)
    record = register(trained, runtime=runtime)
    _print(
        record,
        as_json,
        f"Registered {dataset} v{record.model_version} ({trained.candidate}, {trained.n_rows} rows).",
    )


@app.command()
def gate(dataset: Dataset, model_version: str, as_json: AsJson = False) -> None:
    """Put a challenger through every gate, and record the evidence."""
    from pipelines.steps.gate import gate as step

    record = step(dataset, model_version, runtime=_runtime())
    lines = [
        f"  {'pass' if g.is_passed else 'FAIL'}  {g.name}: {g.observed} ({g.required})" for g in record.gates
    ]
    _print(record, as_json, "\n".join([f"{dataset} v{model_version}:", *lines]))


@app.command()
def promote(
    dataset: Dataset, model_version: str, actor: Actor = "cli", note: Reason = "", as_json: AsJson = False
) -> None:
    """Make a challenger that passed its gates the champion."""
    from pipelines.steps.promote import promote as step

    decision = step(dataset, model_version, runtime=_runtime(), actor=actor, note=note)
    verb = "is champion" if decision.is_promoted else "was not promoted"
    _print(decision, as_json, f"{dataset} v{model_version} {verb}: {decision.reason}")


@app.command()
def rollback(
    dataset: Dataset,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes on record.")],
    model_version: Annotated[str | None, typer.Option("--version", help="Default: the one before.")] = None,
    actor: Actor = "cli",
    as_json: AsJson = False,
) -> None:
    """Go back to the champion before, or to a named version."""
    from pipelines.steps.rollback import rollback as step

    move = step(dataset, runtime=_runtime(), model_version=model_version, actor=actor, reason=reason)
    _print(move, as_json, f"{dataset}: champion is v{move.model_version} (was v{move.previous_version}).")


@app.command()
def night(dataset: Dataset, partition_key: Partition) -> None:
    """Run one whole night in this process: ingest, validate, score, monitor, decide."""
    ingest(dataset, partition_key)
    validate(dataset, partition_key)
    score(dataset, partition_key)
    monitor(dataset, partition_key)
    retrain(dataset, partition_key)


@show.command("model")
def show_model(
    reference: Annotated[str, typer.Argument(help="flights@champion, flights@challenger or flights@3.")],
    as_json: AsJson = False,
) -> None:
    """Answer: what exact data, code, configuration and environment made a model, and who promoted it?"""
    from pipelines.steps.show import render_passport
    from pipelines.steps.show import show_model as step

    dataset, _, alias = reference.partition("@")
    passport = step(dataset, alias or "champion", runtime=_runtime())
    _print(passport, as_json, render_passport(passport))


@app.command(hidden=True)
def stage(name: Annotated[str, typer.Argument(help="snapshot, features, train or evaluate")]) -> None:
    """Run one stage of dvc.yaml, in the folder that holds it."""
    from pipelines.steps.stages import STAGES

    if name not in STAGES:
        raise ConfigError(f"dvc.yaml has no stage {name!r}; it has {', '.join(STAGES)}.")
    STAGES[name](Path.cwd())


@app.command()
def up(
    api_port: ApiPort = None,
    mlflow_port: MlflowPort = None,
) -> None:
    """Start the embedded stack: Airflow's four processes and MLflow's page, on loopback."""
    from pipelines.config import load_settings
    from pipelines.stack import up as start

    start(load_settings(), api_port=api_port, mlflow_port=mlflow_port, say=typer.echo)


@app.command()
def down() -> None:
    """Stop the embedded stack and everything that it started."""
    from pipelines.config import load_settings
    from pipelines.stack import down as stop

    stop(load_settings(), say=typer.echo)


@app.command()
def status() -> None:
    """Say what runs, since when, and where to look."""
    from pipelines.config import load_settings
    from pipelines.stack import status as look

    typer.echo(look(load_settings()).render())


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="One process; all of them by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    n: Annotated[int, typer.Option("-n", help="How many lines of each.")] = 40,
) -> None:
    """Print the last lines of the stack's logs."""
    from pipelines.config import load_settings
    from pipelines.stack import logs as read

    read(load_settings(), name=name, follow=follow, n=n)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow(context: typer.Context) -> None:
    """Run Airflow's own command in the environment of the embedded stack."""
    from pipelines.config import load_settings
    from pipelines.stack import run_airflow

    raise typer.Exit(run_airflow(load_settings(), context.args))


@app.command()
def demo(
    nights: Annotated[int, typer.Option(min=3, help="How many nights to run.")] = 10,
    keep_up: Annotated[bool, typer.Option(help="Leave the stack running at the end.")] = False,
    api_port: ApiPort = None,
    mlflow_port: MlflowPort = None,
) -> None:
    """From nothing to real nights on real flights, under a real Airflow."""
    from pipelines.stack.demo import run_demo

    runtime = _runtime()
    exit_status = run_demo(
        runtime.settings,
        runtime.params,
        nights=nights,
        keep_up=keep_up,
        api_port=api_port,
        mlflow_port=mlflow_port,
        say=typer.echo,
    )
    raise typer.Exit(exit_status)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"holdfast {version('holdfast')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = None,
) -> Any:
    """Keep machine-learning models from drifting."""


if __name__ == "__main__":
    main()
