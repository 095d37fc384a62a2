"""The embedded stack: start, stop, look; and one stage of dvc.yaml."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.arguments import open_runtime
from pipelines.errors import ConfigError

ApiPort = Annotated[int | None, typer.Option(help="Airflow's port; 8080 by default.")]
MlflowPort = Annotated[int | None, typer.Option(help="MLflow's port; 5000 by default.")]


def add_commands(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command(hidden=True)(stage)
    for verb in (up, down, status, logs, demo):
        app.command()(verb)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(airflow)


def stage(name: Annotated[str, typer.Argument(help="snapshot, features, train or evaluate")]) -> None:
    """Run one stage of dvc.yaml, in the folder that holds it."""
    from pipelines.steps.stages import STAGES, run_stage

    # DVC hands on what a stage prints: a search that goes on for an hour is seen to go on.
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("pipelines").setLevel(logging.INFO)
    if name not in STAGES:
        raise ConfigError(f"dvc.yaml has no stage {name!r}; it has {', '.join(STAGES)}.")
    run_stage(name, Path.cwd())


def up(
    api_port: ApiPort = None,
    mlflow_port: MlflowPort = None,
) -> None:
    """Start the embedded stack: Airflow's four processes and MLflow's page, on loopback."""
    from pipelines.config import load_settings
    from pipelines.stack import up as start

    start(load_settings(), api_port=api_port, mlflow_port=mlflow_port, say=typer.echo)


def down() -> None:
    """Stop the embedded stack and everything that it started."""
    from pipelines.config import load_settings
    from pipelines.stack import down as stop

    stop(load_settings(), say=typer.echo)


def status() -> None:
    """Say what runs, since when, and where to look."""
    from pipelines.config import load_settings
    from pipelines.stack import status as look

    typer.echo(look(load_settings()).render())


def logs(
    name: Annotated[str | None, typer.Argument(help="One process; all of them by default.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    n: Annotated[int, typer.Option("-n", help="How many lines of each.")] = 40,
) -> None:
    """Print the last lines of the stack's logs."""
    from pipelines.config import load_settings
    from pipelines.stack import logs as read

    read(load_settings(), name=name, follow=follow, n=n)


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command in the environment of the embedded stack."""
    from pipelines.config import load_settings
    from pipelines.stack import run_airflow

    raise typer.Exit(run_airflow(load_settings(), context.args))


def demo(
    nights: Annotated[int, typer.Option(min=3, help="How many nights to run.")] = 10,
    keep_up: Annotated[bool, typer.Option(help="Leave the stack running at the end.")] = False,
    api_port: ApiPort = None,
    mlflow_port: MlflowPort = None,
) -> None:
    """From nothing to real nights on real flights, under a real Airflow."""
    from pipelines.stack.demo import run_demo

    runtime = open_runtime()
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
