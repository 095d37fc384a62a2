"""Do something with a model version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.arguments import AsJson, open_runtime, print_record

models = typer.Typer(help="Do something with a model version.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(help="flights@champion, flights@challenger or flights@3.")]


@models.command("export")
def export_model(
    reference: Reference,
    onnx: Annotated[Path, typer.Option("--onnx", help="The file to write; one that is there is replaced.")],
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX, encoding and calibration included, once it repeats the golden predictions."""
    from pipelines.steps.export_model import export_onnx, render_export

    dataset, _, alias = reference.partition("@")
    exported = export_onnx(dataset, alias or "champion", target=onnx, runtime=open_runtime())
    print_record(exported, as_json, render_export(exported))
