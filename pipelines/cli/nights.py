"""One verb a step of the night, and the whole night in one process."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipelines.cli.arguments import (
    Actor,
    AsJson,
    Dataset,
    Last,
    Partition,
    Reason,
    open_runtime,
    print_progress,
    print_record,
)


def add_commands(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    for verb in (
        ingest,
        validate,
        score,
        shadow,
        monitor,
        watch,
        retrain,
        train,
        gate,
        promote,
        rollback,
        night,
    ):
        app.command()(verb)


def ingest(dataset: Dataset, partition_key: Partition, last: Last = None, as_json: AsJson = False) -> None:
    """Land a night's rows, and the labels that it brings, in the lake."""
    from pipelines.steps.ingest import ingest as step
    from pipelines.steps.ingest import ingest_range

    runtime = open_runtime()
    if last is None:
        records = [step(dataset, partition_key, runtime=runtime)]
    else:
        records = ingest_range(dataset, partition_key, last, runtime=runtime, progress=print_progress)
    n_rows, n_labels = sum(r.n_rows for r in records), sum(r.n_labels for r in records)
    print_record(
        records[-1], as_json, f"Landed {n_rows} rows and {n_labels} labels of {len(records)} partition(s)."
    )


def validate(dataset: Dataset, partition_key: Partition, last: Last = None, as_json: AsJson = False) -> None:
    """Hold a landed partition to its expectations; publish the good rows, quarantine the bad."""
    from pipelines.steps.validate import validate as step
    from pipelines.steps.validate import validate_range

    runtime = open_runtime()
    if last is None:
        records = [step(dataset, partition_key, runtime=runtime)]
    else:
        records = validate_range(dataset, partition_key, last, runtime=runtime, progress=print_progress)
    refused = [r.partition_key for r in records if r.outcome == "refused"]
    sentence = (
        f"Published {sum(r.n_published for r in records)} rows, quarantined "
        f"{sum(r.n_quarantined for r in records)}; refused: {', '.join(refused) or 'none'}."
    )
    print_record(records[-1], as_json, sentence)


def score(
    dataset: Dataset,
    partition_key: Partition,
    model_version: Annotated[str | None, typer.Option("--version", help="Default: the champion.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a published partition with the champion."""
    from pipelines.steps.score import score as step

    record = step(dataset, partition_key, runtime=open_runtime(), model_version=model_version)
    print_record(
        record,
        as_json,
        f"Scored {record.n_rows} rows with {dataset} v{record.model_version} on {record.device}.",
    )


def shadow(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Score a night that is scored with every version in the champion's shadow."""
    from pipelines.steps.shadow import shadow as step

    records = step(dataset, partition_key, runtime=open_runtime())
    if as_json:
        typer.echo(json.dumps([record.to_json() for record in records], indent=2))
        return
    for record in records:
        typer.echo(f"Scored {record.n_rows} rows in the shadow of v{record.beside}: v{record.model_version}.")
    if not records:
        typer.echo(f"No version of {dataset} is in the champion's shadow.")


def watch(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Compare a new champion with the one before, and take it back where it is worse beyond doubt."""
    from pipelines.registry.watching import watch_sentence
    from pipelines.steps.watch import watch as step

    record = step(dataset, partition_key, runtime=open_runtime())
    sentence = f"No promotion of {dataset} is watched." if record is None else watch_sentence(record)
    print_record(record, as_json, f"{partition_key}: {sentence}")


def monitor(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Measure performance on the labels that arrived, and drift against the champion's reference."""
    from pipelines.monitoring.sentences import verdict_sentence
    from pipelines.steps.monitor import monitor as step
    from pipelines.steps.reconcile import reconcile

    runtime = open_runtime()
    reconcile(dataset, partition_key, runtime=runtime)
    record = step(dataset, partition_key, runtime=runtime)
    print_record(record, as_json, f"{partition_key}: {verdict_sentence(record)}")


def retrain(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """Decide whether a night's drift is worth a retraining; a go is put on record."""
    from pipelines.steps.retrain import decide_retraining

    verdict = decide_retraining(dataset, partition_key, runtime=open_runtime())
    print_record(verdict, as_json, f"{partition_key}: {verdict.verdict}: {verdict.reason}")


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

    runtime = open_runtime()
    trained = step(dataset, partition_key, runtime=runtime, first_partition=first, reason=reason)
    record = register(trained, runtime=runtime)
    print_record(
        record,
        as_json,
        f"Registered {dataset} v{record.model_version} ({trained.candidate}, {trained.n_rows} rows).",
    )


def gate(dataset: Dataset, model_version: str, as_json: AsJson = False) -> None:
    """Put a challenger through every gate, and record the evidence."""
    from pipelines.steps.gate import gate as step

    record = step(dataset, model_version, runtime=open_runtime())
    lines = [
        f"  {'pass' if g.is_passed else 'FAIL'}  {g.name}: {g.observed} ({g.required})" for g in record.gates
    ]
    print_record(record, as_json, "\n".join([f"{dataset} v{model_version}:", *lines]))


def promote(
    dataset: Dataset, model_version: str, actor: Actor = "cli", note: Reason = "", as_json: AsJson = False
) -> None:
    """Make a challenger that passed its gates the champion."""
    from pipelines.steps.promote import promote as step

    decision = step(dataset, model_version, runtime=open_runtime(), actor=actor, note=note)
    verb = "is champion" if decision.is_promoted else "was not promoted"
    print_record(decision, as_json, f"{dataset} v{model_version} {verb}: {decision.reason}")


def rollback(
    dataset: Dataset,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes on record.")],
    model_version: Annotated[str | None, typer.Option("--version", help="Default: the one before.")] = None,
    actor: Actor = "cli",
    rescore_from: Annotated[
        str | None, typer.Option("--rescore", help="Score the nights from this one on again with it.")
    ] = None,
    last: Annotated[str | None, typer.Option("--last", help="The last of them; default: the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the champion before, or to a named version; score nights again with it, if asked."""
    from pipelines.cli.champions import rescore_nights
    from pipelines.steps.rollback import rollback as step

    move = step(dataset, runtime=open_runtime(), model_version=model_version, actor=actor, reason=reason)
    print_record(
        move, as_json, f"{dataset}: champion is v{move.model_version} (was v{move.previous_version})."
    )
    if rescore_from is not None:
        rescore_nights(
            dataset, rescore_from, last or move.partition_key, actor=actor, reason=reason, as_json=as_json
        )


def night(dataset: Dataset, partition_key: Partition) -> None:
    """Run one whole night in this process: ingest, validate, score, monitor, decide, watch."""
    ingest(dataset, partition_key)
    validate(dataset, partition_key)
    score(dataset, partition_key)
    monitor(dataset, partition_key)
    retrain(dataset, partition_key)
    # Last: what is wrong with a model that nobody is scored by must not hold up the night.
    shadow(dataset, partition_key)
    watch(dataset, partition_key)
