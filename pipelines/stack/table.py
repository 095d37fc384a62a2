"""Rows of text as aligned lines for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_GAP = "  "


def aligned(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Return one line a row, each column as wide as its widest cell.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first is the heading, under which a rule is drawn; all of one length.
    right : collection of int
        The columns whose cells are flush right; numbers, that is.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    ruled = [rows[0], ["─" * width for width in widths], *rows[1:]]
    return [
        _GAP.join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in ruled
    ]
