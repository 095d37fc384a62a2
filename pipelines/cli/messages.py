"""Messages to people: what was sent, what was not, and a trial."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.arguments import open_runtime
from pipelines.errors import ConfigError, EngineError

messages = typer.Typer(help="Messages to people about incidents.", no_args_is_help=True)


@messages.command("list")
def list_messages(
    dataset: Annotated[str | None, typer.Argument(help="Of this dataset alone.")] = None,
    n: Annotated[int, typer.Option("-n", help="How many, newest first.", min=1, max=1000)] = 20,
) -> None:
    """List messages, newest first, with what became of them."""
    for message in open_runtime().ledger.outbox.newest(dataset, limit=n):
        state = "sent" if message.sent_at else f"not sent ({message.n_attempts} tries: {message.last_error})"
        typer.echo(f"{message.created_at:%Y-%m-%d %H:%M}  {message.key}  {message.title}  [{state}]")


@messages.command("send")
def send_unsent() -> None:
    """Try once more to send what has not been sent."""
    from pipelines.steps.tell import tell_unsent

    runtime = open_runtime()
    n_sent = tell_unsent(runtime=runtime)
    n_left = len(runtime.ledger.outbox.unsent(limit=1000))
    typer.echo(f"Sent {n_sent}; {n_left} are left.")


@messages.command("test")
def send_trial() -> None:
    """Send a trial to every address in HOLDFAST_NOTIFY_URLS, and say which took it."""
    from pipelines.steps.tell import tell_trial

    tried = tell_trial(runtime=open_runtime())
    if not tried:
        raise ConfigError("HOLDFAST_NOTIFY_URLS names nobody: messages go to the log alone.")
    for name, error in tried.items():
        if error is None:
            typer.echo(f"{name}: took it")
    if errors := [error for error in tried.values() if error is not None]:
        raise EngineError("The trial did not arrive everywhere. " + "; ".join(errors))
