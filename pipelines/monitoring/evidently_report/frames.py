"""Tables as Evidently takes them: data frames of few enough rows, whose text can't run as script."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

# More rows make the page slower to build and to open, and show nothing more.
MAX_REFERENCE_ROWS = 20_000
MAX_CURRENT_ROWS = 10_000
_UNSAFE = str.maketrans({"<": "‹", ">": "›", "&": "＆", "\u2028": " ", "\u2029": " "})


def safe_text(text: str) -> str:
    """Return ``text`` without what could end a script or start a tag: Evidently prints it raw."""
    return text.translate(_UNSAFE)


def safe_names(names: Collection[str]) -> dict[str, str]:
    """Return the name by which Evidently is to know each column: safe, and different for each."""
    given: dict[str, str] = {}
    for name in names:
        safe = safe_text(name)
        while safe in given.values():  # two names may differ only in what is not safe
            safe += "'"
        given[name] = safe
    return given


def thinned(table: pa.Table, limit: int) -> pa.Table:
    """Return at most ``limit`` rows, spread evenly over the table."""
    if table.num_rows <= limit:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, limit).astype(np.int64))


def feature_frames(
    reference: pa.Table, current: pa.Table, *, names: dict[str, str], numeric: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides as Evidently compares them.

    Parameters
    ----------
    reference, current : pyarrow.Table
        With the columns of ``names``; thinned to 20,000 and 10,000 rows.
    names : dict of str to str
        What each column is called in the frames.
    numeric : collection of str
        The columns (by their own names) that hold numbers; the others become text.
    """
    before = _frame(thinned(reference.select(list(names)), MAX_REFERENCE_ROWS), names, numeric)
    now = _frame(thinned(current.select(list(names)), MAX_CURRENT_ROWS), names, numeric)
    return before, now


def _frame(table: pa.Table, names: dict[str, str], numeric: Collection[str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in table.column_names:
        values = table[name].to_pandas()
        if name in numeric:
            columns[names[name]] = pd.to_numeric(values).astype("float64").replace([np.inf, -np.inf], np.nan)
        else:
            columns[names[name]] = values.astype("object").map(
                lambda value: safe_text(str(value)), na_action="ignore"
            )
    return pd.DataFrame(columns)
