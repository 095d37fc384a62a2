"""A document as a page: no scripts, nothing from a network, everything escaped and cut to size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pipelines.pages.charts import draw
from pipelines.pages.document import (
    Block,
    Bullets,
    Cell,
    Chart,
    Document,
    Facts,
    Link,
    Mark,
    Prose,
    Section,
    Table,
    text_of,
)
from pipelines.pages.markup import badge, bullets, facts, link, page, prose, shown, table

_CELL_CHARS, _PROSE_CHARS, _MAX_ROWS = 400, 2_000, 300
# As long as "2013-06-12 to 2013-07-07", and a little more.
_WHOLE_CHARS = 27


def document_page(document: Document, *, trail: Sequence[tuple[str, str | None]] = (), form: str = "") -> str:
    """Return a document as a whole page.

    Parameters
    ----------
    form : str
        HTML of ours, shown before the first section.
    trail : sequence of (str, str or None)
        As for :func:`~pipelines.pages.markup.page`.
    """
    marks = "".join(_cell(mark) for mark in document.marks)
    parts = [
        f'<div class="title"><h1>{shown(document.title)}</h1>{marks}</div>',
        *_blocks(document.lead),
        *([form] if form else []),
        *map(_section, document.sections),
    ]
    return page(f"Holdfast: {document.title}", "\n".join(parts), trail=trail)


def _section(section: Section) -> str:
    return f"<h2>{shown(section.title)}</h2>\n" + "\n".join(_blocks(section.blocks))


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield each block; charts that follow one another stand side by side."""
    for is_chart, group in groupby(blocks, key=lambda block: isinstance(block, Chart)):
        written = map(_block, group)
        if is_chart:
            yield f'<div class="charts">{"".join(written)}</div>'
        else:
            yield from written


def _block(block: Block) -> str:
    match block:
        case Prose():
            text = f"<p>{prose(block.text, _PROSE_CHARS)}</p>"
            return text if block.state == "none" else f'<div class="card verdict {block.state}">{text}</div>'
        case Bullets():
            return bullets(list(block.texts), most=60, limit=_PROSE_CHARS)
        case Facts():
            pairs = [(shown(f.name), _cell(f.value), shown(f.note, _CELL_CHARS)) for f in block.facts]
            return facts(pairs)
        case Table():
            return _table(block)
        case Chart():
            return _figure(block)


def _figure(chart: Chart) -> str:
    figures = "" if chart.figures is None else _table(chart.figures)
    told = f"<details><summary>Its figures</summary>{figures}</details>" if figures else ""
    drawn = draw(chart) or '<p class="soft">Nothing to draw.</p>'
    return f"<figure><figcaption>{shown(chart.title, _CELL_CHARS)}</figcaption>{drawn}{told}</figure>"


def _table(block: Table) -> str:
    right = frozenset(block.numbers)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_kind(cell, name in right)}">{_cell(cell)}</td>'
            for name, cell in zip(block.head, row, strict=True)
        )
        + "</tr>"
        for row in block.rows[:_MAX_ROWS]
    )
    more = len(block.rows) - _MAX_ROWS
    note = f'<p class="soft">and {more:,} more</p>' if more > 0 else ""
    return table(block.head, rows, numbers=block.numbers, caption=block.caption) + note


def _kind(cell: Cell, is_number: bool) -> str:
    """Return how a cell is set: a word, a moment or a span of days stays whole, sentences get room."""
    if is_number:
        return "number"
    return "whole" if len(text_of(cell)) <= _WHOLE_CHARS else "words"


def _cell(cell: Cell) -> str:
    match cell:
        case Link():
            return link(cell.text, cell.address)
        case Mark():
            return badge(cell.state, cell.text)
        case _:
            return shown(cell, _CELL_CHARS)
