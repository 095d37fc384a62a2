"""A document that reads the same as a page, as Markdown and on a terminal: sections of a few kinds of block.

A chart is drawn on a page alone: elsewhere a small table of its figures stands for it.

What is written here is plain text; each renderer escapes it in its own way. Text between backticks in
:class:`Prose` and :class:`Bullets` is code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["line", "naive", "dots", "rings", "crosses"]
State = Literal["calm", "info", "warning", "critical", "none"]


@dataclass(frozen=True)
class Link:
    """A text that leads to an address of ours."""

    text: str
    address: str


@dataclass(frozen=True)
class Mark:
    """A state, in a word or two."""

    state: State
    text: str


Cell = str | Link | Mark


@dataclass(frozen=True)
class Prose:
    """Sentences of ours."""

    text: str
    state: State = "none"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    texts: Sequence[str]


@dataclass(frozen=True)
class Fact:
    """A labelled figure with its small print."""

    name: str
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """Labelled figures."""

    facts: Sequence[Fact]


@dataclass(frozen=True)
class Table:
    """A table; ``numbers`` are the heads of its columns of figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: Sequence[str] = ()
    caption: str = ""


@dataclass(frozen=True)
class Series:
    """Points that go together; those that are not finite are left out.

    Parameters
    ----------
    style : {"line", "naive", "dots", "rings", "crosses"}
        ``naive``, a dashed line, is what the others are held against.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: Style = "line"


@dataclass(frozen=True)
class Chart:
    """Series over one pair of axes.

    Parameters
    ----------
    x, y : str
        What the axes are of, with the unit.
    figures : Table or None
        What stands for the drawing where nothing can be drawn; None where a table beside it does.
    steps : sequence of str
        The names of 0, 1, 2, ... on the x-axis, where it is of days or the like; none of a number.
    y_shown : sequence of float
        What the y-axis reaches, wherever the points are.
    """

    title: str
    x: str
    y: str
    series: Sequence[Series]
    figures: Table | None = None
    steps: Sequence[str] = ()
    y_shown: Sequence[float] = ()


Block = Prose | Bullets | Facts | Table | Chart


@dataclass(frozen=True)
class Section:
    """A titled part of a document."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A titled whole; ``marks`` stand beside the title, ``lead`` before the first section."""

    title: str
    sections: Sequence[Section]
    marks: Sequence[Mark] = ()
    lead: Sequence[Block] = ()


def text_of(cell: Cell) -> str:
    """Return what a cell says."""
    return cell if isinstance(cell, str) else cell.text
