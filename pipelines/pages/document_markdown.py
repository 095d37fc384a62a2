"""A document as Markdown, as MLflow and Airflow show it: what came from the data is text, and no markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.pages.document import Block, Bullets, Cell, Chart, Document, Facts, Link, Mark, Prose, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$<>&])")
_CODE = re.compile(r"(`[^`]+`)")
_MARKS = {"calm": "✓", "info": "◇", "warning": "▲", "critical": "✗", "none": "○"}


def document_markdown(document: Document) -> str:
    """Return a document as Markdown; it has no HTML and no link but ours."""
    marks = "".join(f" ({_mark(mark)})" for mark in document.marks)
    blocks = [f"# {plain(document.title)}{marks}", *_blocks(document.lead)]
    for section in document.sections:
        blocks += [f"## {plain(section.title)}", *_blocks(section.blocks)]
    return "\n\n".join(blocks) + "\n"


def plain(text: str) -> str:
    """Return text in one line that Markdown shows as it is.

    Examples
    --------
    >>> plain("a|b <script> *c*")
    'a\\\\|b \\\\<script\\\\> \\\\*c\\\\*'
    """
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Prose():
                mark = "" if block.state == "none" else f"{_MARKS[block.state]} "
                yield mark + _prose(block.text)
            case Bullets():
                yield "\n".join(f"- {_prose(text)}" for text in block.texts)
            case Facts():
                notes = ((f, f" ({plain(f.note)})" if f.note else "") for f in block.facts)
                yield "\n".join(f"- **{plain(f.name)}:** {_cell(f.value)}{note}" for f, note in notes)
            case Table():
                yield _table(block)
            case Chart(title=title, figures=Table() as figures):
                yield _table(replace(figures, caption=title))


def _table(block: Table) -> str:
    rules = ["---:" if name in block.numbers else "---" for name in block.head]
    lines = [
        *([f"{plain(block.caption)}\n"] if block.caption else []),
        _row(map(plain, block.head)),
        _row(rules),
        *(_row(map(_cell, row)) for row in block.rows),
    ]
    return "\n".join(lines)


def _row(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    match cell:
        case Link():
            return f"[{plain(cell.text)}]({cell.address.replace(' ', '%20').replace(')', '%29')})"
        case Mark():
            return _mark(cell)
        case _:
            return plain(cell)


def _mark(mark: Mark) -> str:
    return f"{_MARKS[mark.state]} {plain(mark.text)}"


def _prose(text: str) -> str:
    """Return sentences of ours; only what is between backticks stays markup."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(part if _CODE.fullmatch(part) else _escaped(part) for part in parts)
