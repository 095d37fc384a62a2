"""A document on a terminal: a fact a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.errors import printable
from pipelines.pages.document import Block, Bullets, Chart, Document, Facts, Prose, Table, text_of

_NAME_WIDTH, _MAX_CELL_CHARS = 18, 60
_MARKS = {"calm": "", "info": "", "warning": "! ", "critical": "!! ", "none": ""}


def document_text(document: Document) -> str:
    """Return a document as plain text; nothing in it steers a terminal."""
    marks = "".join(f" [{mark.text}]" for mark in document.marks)
    parts = ["\n".join([document.title + marks, *_lines(document.lead)])]
    parts += ["\n".join([section.title, *_lines(section.blocks)]) for section in document.sections]
    return printable("\n\n".join(parts), kept="\n")


def _lines(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Prose():
                yield f"  {_MARKS[block.state]}{_one_line(block.text)}"
            case Bullets():
                yield from (f"  - {_one_line(text)}" for text in block.texts)
            case Facts():
                for fact in block.facts:
                    note = f"  ({_one_line(fact.note)})" if fact.note else ""
                    yield f"  {fact.name:<{_NAME_WIDTH}}  {_one_line(text_of(fact.value))}{note}"
            case Table():
                yield from _table(block)
            case Chart(title=title, figures=Table() as figures):
                yield from _table(replace(figures, caption=title))


def _table(block: Table) -> Iterator[str]:
    rows = [[_one_line(name) for name in block.head]]
    rows += [[_cut(_one_line(text_of(cell))) for cell in row] for row in block.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [name in block.numbers for name in block.head]
    if block.caption:
        yield f"  {block.caption}"
    for row in rows:
        cells = [
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CELL_CHARS else text[: _MAX_CELL_CHARS - 1] + "…"
