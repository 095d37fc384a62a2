"""Words that the gates share."""

from __future__ import annotations

from collections.abc import Sequence

_MAX_NAMED = 5


def named(names: Sequence[str]) -> str:
    """Return names in one bounded phrase."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def ordinal(number: int) -> str:
    """Return a number of order: 1st, 2nd, 3rd, 11th."""
    last = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"
