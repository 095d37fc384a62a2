"""Rebuild a model from what is on record, and compare every byte."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.arguments import AsJson, open_runtime, print_record


def reproduce(
    model: Annotated[str, typer.Argument(help="flights@champion, flights@3, or flights and a version.")],
    model_version: Annotated[str | None, typer.Argument(help="The version, where MODEL names none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model again from its record, and compare the result with it byte by byte."""
    from pipelines.steps.reproduce import reproduce as step
    from pipelines.steps.reproduction_report import render_reproduction

    dataset, _, reference = model.partition("@")
    if model_version is not None and reference not in ("", model_version):
        raise typer.BadParameter(f"{model} and {model_version} name two models: leave one out.")
    found = step(
        dataset,
        reference or model_version or "champion",
        runtime=open_runtime(),
        progress=lambda what: typer.echo(f"  {what}", err=True),
    )
    print_record(found, as_json, render_reproduction(found))
    if not found.is_identical:
        raise typer.Exit(1)
