"""Hold nights whose data shows a fault, and let them go again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.arguments import AsJson, Dataset, open_runtime, print_record
from pipelines.cli.quarantine import Who, Why
from pipelines.errors import ConfigError, printable

if TYPE_CHECKING:
    from pipelines.records import AmendmentRecord


def hold(
    dataset: Dataset,
    nights: Annotated[list[str], typer.Argument(help="The nights' partition keys, such as 2013-07-04.")],
    reason: Why,
    actor: Who,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", help="A column whose values show what is wrong; may be repeated."),
    ] = None,
    is_undone: Annotated[
        bool, typer.Option("--undo", help="Take the hold back: the nights are what they were before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put all rows of nights into quarantine, for a person to look at: nobody is to learn from them."""
    from pipelines.steps import hold as steps

    if is_undone and columns:
        raise ConfigError("--undo takes whole holds back: leave out --column.")
    runtime = open_runtime()
    if is_undone:
        record = steps.lift(dataset, nights, reason=reason, runtime=runtime, actor=actor)
    else:
        record = steps.hold(
            dataset, nights, columns=columns or (), reason=reason, runtime=runtime, actor=actor
        )
    print_record(record, as_json, "\n".join(_sentences(night) for night in record.nights))


def _sentences(night: AmendmentRecord) -> str:
    where, done = f"{night.dataset} {night.partition_key}", "held" if night.action == "hold" else "let go"
    if not night.n_rows:
        return f"{where}: no row is {'published' if night.action == 'hold' else 'held'}; nothing was done."
    lines = [
        f"{where}: {night.n_rows} rows {done}. The night is {night.outcome}: "
        f"{night.n_published} published, {night.n_quarantined} in quarantine.",
        *(f"  next: {printable(what)}" for what in night.dependents),
    ]
    if night.action == "hold":
        lines.append(
            f"  look: `holdfast quarantine show {where}`; then release or repair the rows, or say "
            f"`holdfast hold {where} --undo`."
        )
    return "\n".join(lines)
