"""Look at what is on record."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, Partition, open_runtime, print_record


class CardForm(StrEnum):
    """How a model card is written."""

    text = "text"
    md = "md"
    html = "html"


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


@show.command("card")
def show_card(
    reference: Annotated[str, typer.Argument(help="flights@champion, flights@challenger or flights@3.")],
    form: Annotated[CardForm, typer.Option("--form", help="How it is written.")] = CardForm.text,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
) -> None:
    """Write a version's model card: what it is for, made of, good and bad at, and who decided."""
    from pipelines.pages.document_markdown import document_markdown
    from pipelines.pages.document_page import document_page
    from pipelines.pages.document_text import document_text
    from pipelines.steps.card import model_card
    from pipelines.steps.show import resolve_version
    from pipelines.storage.whole_files import write_atomically

    dataset, _, alias = reference.partition("@")
    runtime = open_runtime()
    version = resolve_version(dataset, alias or "champion", runtime=runtime)
    document = model_card(dataset, version, runtime=runtime)
    writers = {CardForm.text: document_text, CardForm.md: document_markdown, CardForm.html: document_page}
    text = writers[form](document)
    if out is None:
        typer.echo(text)
    else:
        write_atomically(out, text)


@show.command("partition")
def show_partition(dataset: Dataset, partition_key: Partition, as_json: AsJson = False) -> None:
    """List every version of a night's partition: when, why, of what, and which model scored which."""
    from pipelines.steps.versions import render_partition
    from pipelines.steps.versions import show_partition as step

    history = step(dataset, partition_key, runtime=open_runtime())
    print_record(history, as_json, render_partition(history))
