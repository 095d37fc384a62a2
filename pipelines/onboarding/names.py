"""Names of columns: plain ones stay, others become snake_case; none is a word that does harm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from pipelines.config import RESERVED_COLUMNS

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MAX_CHARS = 50


def clean_names(names: Iterable[str]) -> dict[str, str]:
    """Return the name by which each column is known from here on, in order.

    A plain identifier stays as it is, unless Holdfast has a column of that name. Others are written
    with letters, digits and underscores alone; a second column of one name (case does not count) is
    numbered.

    Examples
    --------
    >>> clean_names(["CO(GT)", "Temperature (°C)", "row_id", "co_gt"])
    {'CO(GT)': 'co_gt_2', 'Temperature (°C)': 'temperature_c', 'row_id': 'source_row_id', 'co_gt': 'co_gt'}
    """
    given = list(names)
    # Names that need no change have the first right to themselves.
    clean = {name: name for name in given if _is_plain(name)}
    taken: set[str] = set()
    for name in clean:
        if name.lower() in taken:
            clean[name] = _free(name, taken)
        taken.add(clean[name].lower())
    for name in given:
        if name not in clean:
            clean[name] = _free(_snake_case(name), taken)
            taken.add(clean[name].lower())
    return {name: clean[name] for name in given}


def dataset_name(text: str) -> str:
    """Return the nearest name that a dataset or a table may have: ``[a-z][a-z0-9_]*``."""
    return _snake_case(text).lower()[:_MAX_CHARS]


def _is_plain(name: str) -> bool:
    lowered = name.lower()
    return bool(_PLAIN.fullmatch(name)) and lowered not in RESERVED_COLUMNS and not _is_ours(lowered)


def _is_ours(name: str) -> bool:
    """Return whether Holdfast makes columns of such a name."""
    return (
        name.startswith("holdfast_")
        or bool(re.fullmatch(r"probability_\d+", name))
        or name == "model_version"
    )


def _snake_case(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name[:500]).encode("ascii", "ignore").decode()
    if _PLAIN.fullmatch(plain) and (plain.lower() in RESERVED_COLUMNS or _is_ours(plain.lower())):
        return f"source_{plain.lower()}"[:_MAX_CHARS]
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()[:_MAX_CHARS].strip("_")
    if not words:
        return "column"
    return words if words[0].isalpha() else f"x{words}"


def _free(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate.lower() in taken or candidate.lower() in RESERVED_COLUMNS:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
