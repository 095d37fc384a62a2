"""A document as a page: no scripts, nothing from a network, everything escaped and cut to size."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.pages.document import Block, Bullets, Cell, Document, Facts, Link, Mark, Prose, Section, Table
from pipelines.pages.markup import badge, bullets, facts, link, page, prose, shown, table

_CELL_CHARS, _PROSE_CHARS, _MAX_ROWS = 400, 2_000, 300


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
        *map(_block, document.lead),
        *([form] if form else []),
        *map(_section, document.sections),
    ]
    return page(f"Holdfast: {document.title}", "\n".join(parts), trail=trail)


def _section(section: Section) -> str:
    return f"<h2>{shown(section.title)}</h2>\n" + "\n".join(map(_block, section.blocks))


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


def _table(block: Table) -> str:
    right = frozenset(block.numbers)
    classes = [' class="number"' if name in right else "" for name in block.head]
    rows = "".join(
        "<tr>" + "".join(f"<td{c}>{_cell(cell)}</td>" for c, cell in zip(classes, row, strict=True)) + "</tr>"
        for row in block.rows[:_MAX_ROWS]
    )
    more = len(block.rows) - _MAX_ROWS
    note = f'<p class="soft">and {more:,} more</p>' if more > 0 else ""
    return table(block.head, rows, numbers=block.numbers, caption=block.caption) + note


def _cell(cell: Cell) -> str:
    match cell:
        case Link():
            return link(cell.text, cell.address)
        case Mark():
            return badge(cell.state, cell.text)
        case _:
            return shown(cell, _CELL_CHARS)
