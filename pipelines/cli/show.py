"""Look at what is on record."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, Partition, open_runtime, print_record

show = typer.Typer(help="Look at what is on record.", no_args_is_help=True)


@show.command("model")
def show_model(
    reference: Annotated[str, typer.Argument(help="flights@champion, flights@challenger or flights@3.")],
    as_json: AsJson = False,
) -> None:
    """Answer: what exact data, code, configuration and environment made a model, and who promoted it?"""
    from pipelines.steps.show import render_passport
    from pipelines.steps.show import show_model as step

    dataset, _, alias = reference.partition("@")
    passport = step(dataset, alias or "champion", runtime=open_runtime())
    print_record(passport, as_json, render_passport(passport))


@show.command("partition")
def show_partition(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """List every version of a night's partition: when, why, of what, and which model scored which."""
    from pipelines.steps.versions import render_partition
    from pipelines.steps.versions import show_partition as step

    history = step(dataset, partition_key, runtime=open_runtime())
    print_record(history, as_json, render_partition(history))
