"""Episodes and the breaker: look into them, and close them by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, open_runtime, print_record
from pipelines.errors import NotReadyError

if TYPE_CHECKING:
    from pipelines.records import Episode
    from pipelines.runtime import Runtime

episodes = typer.Typer(help="Look into the incidents of a dataset; close one by hand.", no_args_is_help=True)
retraining = typer.Typer(help="Look into the retraining of a dataset.", no_args_is_help=True)
breaker = typer.Typer(help="Whether retraining is switched off; switch it on.", no_args_is_help=True)
retraining.add_typer(breaker, name="breaker")

Why = Annotated[str, typer.Option("--reason", help="Why; goes on record.")]
Who = Annotated[str, typer.Option("--actor", envvar="USER", help="Who decides; goes on record.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many to print, newest first.")]
_N_TRIGGERS = 20


@episodes.command("list")
def list_episodes(dataset: Dataset, limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the episodes, newest first."""
    runtime = _runtime_of(dataset)
    found = runtime.ledger.episodes.list(dataset, limit=limit)
    if as_json:
        typer.echo(json.dumps([episode.to_json() for episode in found], indent=2))
        return
    for episode in found:
        typer.echo(_line(episode))
    if not found:
        typer.echo(f"No episode of {dataset} is on record.")


@episodes.command()
def show(
    dataset: Dataset,
    number: Annotated[int | None, typer.Argument(help="Default: the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show one episode: what it is about, what was decided, night by night, and its retrainings."""
    runtime = _runtime_of(dataset)
    ledger = runtime.ledger
    found = ledger.episodes.newest(dataset) if number is None else ledger.episodes.get(dataset, number)
    if found is None:
        which = "No episode" if number is None else f"No episode {number}"
        raise NotReadyError(f"{which} of {dataset} is on record.")
    triggers = ledger.triggers.list(dataset, episode_id=found.id, limit=_N_TRIGGERS)
    retrainings = ledger.triggers.retrainings_of(found.id)
    if as_json:
        content = found.to_json() | {
            "triggers": [trigger.to_json() for trigger in triggers],
            "retrainings": [retraining.to_json() for retraining in retrainings],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    typer.echo(_line(found))
    for name in ("cause", "consequence", "next_step"):
        typer.echo(f"  {name.replace('_', ' ')}: {getattr(found, name)}")
    for trained in retrainings:
        model = "" if trained.model_version is None else f" v{trained.model_version}"
        typer.echo(f"  retraining as of {trained.partition_key}:{model} {trained.status}: {trained.reason}")
    for trigger in triggers:
        typer.echo(f"  {trigger.partition_key}  {trigger.verdict:10}  {trigger.reason}")


@episodes.command()
def close(dataset: Dataset, reason: Why, actor: Who, as_json: AsJson = False) -> None:
    """Close the open episode; a further confirmed alarm of a later night opens another."""
    from pipelines.steps.episodes import close_episode as step

    record = step(dataset, runtime=open_runtime(), actor=actor, reason=reason)
    print_record(record, as_json, _line(record))


@breaker.command("show")
def show_breaker(dataset: Dataset, as_json: AsJson = False) -> None:
    """Show whether retraining is switched off, and every switch so far."""
    runtime = _runtime_of(dataset)
    history = runtime.ledger.breakers.history(dataset)
    if as_json:
        typer.echo(json.dumps([switch.to_json() for switch in history], indent=2))
        return
    is_open = bool(history) and history[-1].is_open
    state = "open: nothing is retrained" if is_open else "closed: retraining is on"
    typer.echo(f"{dataset}: the breaker is {state}.")
    for switch in history:
        verb = "opened" if switch.is_open else "closed"
        typer.echo(f"  {switch.changed_at:%Y-%m-%d %H:%M} {verb} by {switch.actor}: {switch.reason}")


@breaker.command("close")
def close_breaker(dataset: Dataset, reason: Why, actor: Who, as_json: AsJson = False) -> None:
    """Switch retraining on again; refusals so far no longer count."""
    from pipelines.steps.breaker import close_breaker as step

    record = step(dataset, runtime=open_runtime(), actor=actor, reason=reason)
    print_record(record, as_json, f"{dataset}: the breaker is closed by {record.actor}: retraining is on.")


def _runtime_of(dataset: str) -> Runtime:
    """Open configuration and stores; ConfigError if no such dataset is declared."""
    runtime = open_runtime()
    runtime.dataset(dataset)
    return runtime


def _line(episode: Episode) -> str:
    ended = "" if episode.closed_for is None else f" to {episode.closed_for} ({episode.closing_reason})"
    kinds = f" {', '.join(episode.kinds)} drift," if episode.kinds else ""
    return (
        f"{episode.dataset} episode {episode.id}: {episode.status}, {episode.action}, {episode.severity};"
        f"{kinds} v{episode.model_version}, first alarm {episode.first_alarm}, "
        f"opened for {episode.opened_for}{ended}"
    )
