"""Explain predictions by the ids of their rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, open_runtime
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.registry.row_passport import RowPassport


def explain(
    dataset: Dataset,
    row_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ROW_ID...", help="As in the column row_id of predictions.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take ids from this file, one a line; - is standard input.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash the night's predictions, however many.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer for a row: which model decided it, what made that model, and who let it decide?

    With --json, one row gives one object; several give one a line.
    """
    from pipelines.steps.explain import explain_rows

    ids = [*(row_ids or []), *(_read(file) if file else ())]
    if not ids:
        raise ConfigError("Name a row, such as '2013-07-04|AA|1141|...', or give --file.")
    found = explain_rows(dataset, ids, runtime=open_runtime(), verify=verify)
    for number, passport in enumerate(found):
        typer.echo(_shown(passport, as_json, alone=len(ids) == 1, is_first=number == 0))


def _read(file: Path) -> Iterator[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Can't read ids from {file}: {error}.") from error
    yield from filter(None, map(str.strip, text.splitlines()))


def _shown(passport: RowPassport, as_json: bool, *, alone: bool, is_first: bool) -> str:
    from pipelines.pages.document_text import document_text
    from pipelines.registry.row_document import row_document

    if as_json:
        return json.dumps(passport.to_json(), indent=2 if alone else None)
    return ("" if is_first else "\n" + "=" * 80 + "\n\n") + document_text(row_document(passport))
