"""What a day's column may be suspected of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

# Fewer values say nothing of a day.
MIN_VALUES = 30
# So much more of a day is null, or one value, than on any day of the reference.
FLOOD = 0.1
# Less than this is nothing: what is left of a day of which all was changed.
REST = 0.02


class Suspicion(NamedTuple):
    """A fault that would explain what one day's column looks like.

    ``what`` completes a sentence that begins with the column's name. ``is_blatant``: no world does that; else
    it must also have come from one night to the next.
    """

    signature: str
    what: str
    n_rows: int
    share: float
    is_blatant: bool


class MissingPast:
    """The share of nulls of each day of the reference, and what it makes of a later day's."""

    def __init__(self, n_missing: Integers, n_rows: Integers) -> None:
        shares = n_missing / np.maximum(1, n_rows)
        self._most = float(shares.max(initial=0.0))
        # Where days differ much in it, a day must stand out from more than from all others.
        self._margin = FLOOD + self._most - float(shares.mean() if shares.size else 0.0)

    def suspect(self, n_missing: int, n_rows: int) -> Suspicion | None:
        """Return the suspicion of a day that has far more nulls than any before."""
        share = n_missing / n_rows
        is_empty = share > 1 - REST and self._most <= 1 - FLOOD
        if share - self._most < self._margin and not is_empty:
            return None
        what = f"has no value in {share:.0%} of the rows, against at most {self._most:.1%} on any day before"
        return Suspicion("null_flood", what, n_missing, share, is_blatant=True)
