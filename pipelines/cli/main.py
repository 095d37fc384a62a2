"""Put the commands together, and turn a Holdfast error into one sentence and an exit status."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from pipelines.cli import nights, stack
from pipelines.cli.challengers import challenger
from pipelines.cli.champions import champion, rescore
from pipelines.cli.datasets import datasets
from pipelines.cli.episodes import episodes, retraining
from pipelines.cli.explain import explain
from pipelines.cli.hold import hold
from pipelines.cli.messages import messages
from pipelines.cli.metrics import metrics
from pipelines.cli.models import models
from pipelines.cli.quarantine import quarantine
from pipelines.cli.reproduce import reproduce
from pipelines.cli.show import show
from pipelines.cli.suites import suite
from pipelines.errors import ConfigError, HoldfastError

app = typer.Typer(
    name="holdfast",
    help="Keep machine-learning models from drifting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
nights.add_commands(app)
app.add_typer(datasets, name="dataset")
app.add_typer(show, name="show")
app.command()(explain)
app.add_typer(quarantine, name="quarantine")
app.command()(hold)
app.add_typer(champion, name="champion")
app.add_typer(challenger, name="challenger")
app.command()(rescore)
app.add_typer(episodes, name="episodes")
app.add_typer(retraining, name="retraining")
app.add_typer(suite, name="suite")
app.add_typer(messages, name="messages")
app.add_typer(models, name="model")
app.command()(metrics)
app.command()(reproduce)
stack.add_commands(app)

# No library phones home, whoever starts us.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def main() -> None:
    """Run the command; a Holdfast error becomes one sentence and an exit status."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        app()
    except HoldfastError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


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
