"""Which candidate is the best, and the rows whose predictions every scorer must repeat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bundle.files import MAX_GOLDEN_ROWS
from pipelines.metrics import primary_metric

_ODD_GOLDEN_ROWS = 8
_UNSEEN = "\N{REPLACEMENT CHARACTER}"


def choose_candidate(measured: Mapping[str, Mapping[str, float]], task: str) -> str:
    """Return the name of the best candidate by the primary metric; the first of equals.

    Parameters
    ----------
    measured : mapping of str to mapping of str to float
        The metrics of each candidate on the validation days. A nan never wins; if all are nan, the
        first candidate is returned.
    """
    metric = primary_metric(task)

    def rank(name: str) -> float:
        value = measured[name][metric.name]
        if math.isnan(value):
            return -math.inf
        return value if metric.greater_is_better else -value

    return max(measured, key=rank)


def golden_rows(examples: pa.Table, *, numeric: Sequence[str], categorical: Sequence[str]) -> pa.Table:
    """Choose the feature rows whose predictions every scorer must repeat.

    Rows are spread evenly over ``examples``. The last few are changed into what scoring may meet and
    a holdout may lack: in turn, nothing known at all, and categories never seen.

    Returns
    -------
    pyarrow.Table, shape (at most 200, k)
        The feature columns.
    """
    chosen = _spread(examples.num_rows, MAX_GOLDEN_ROWS)
    rows = examples.select([*numeric, *categorical]).take(pa.array(chosen)).combine_chunks()
    n_odd = min(rows.num_rows // 4, _ODD_GOLDEN_ROWS)
    plain, odd = rows.slice(0, rows.num_rows - n_odd), rows.slice(rows.num_rows - n_odd)
    is_blank = pa.array(np.arange(n_odd) % 2 == 0)
    for index, field in enumerate(odd.schema):
        otherwise = pa.repeat(_UNSEEN, n_odd) if field.name in categorical else odd[field.name]
        changed = pc.if_else(is_blank, pa.scalar(None, field.type), otherwise.cast(field.type))
        odd = odd.set_column(index, field, changed)
    return pa.concat_tables([plain, odd]).combine_chunks()


def _spread(n: int, at_most: int) -> npt.NDArray[np.int64]:
    """Return at most ``at_most`` of the numbers below ``n``, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(np.int64))
