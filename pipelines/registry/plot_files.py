"""Read the plots that a training left: small CSV files, of which a card draws some."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

# The columns of one plot by name, as text.
Plot = Mapping[str, tuple[str, ...]]


def read_plots(folder: Path, names: tuple[str, ...]) -> dict[str, Plot]:
    """Return some of the plots in a folder by file name; one without a row is left out."""
    found = {name: _read(folder / name) for name in names if (folder / name).is_file()}
    return {name: plot for name, plot in found.items() if any(plot.values())}


def numbers(plot: Plot, column: str) -> list[float]:
    """Return a column of a plot as numbers: nan where a cell is none; nothing where there is no column."""
    return [_number(text) for text in plot.get(column, ())]


def _read(path: Path) -> Plot:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = [*csv.reader(file)] or [[]]
    whole = [row for row in rows if len(row) == len(head)]
    return {name: tuple(row[place] for row in whole) for place, name in enumerate(head)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
