"""What later nights are held against, and whether the scorer says what the training library said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.files import outputs_of, read_bundle
from pipelines.evaluation.holdout import Floats
from pipelines.storage.lake import PARTITION_COLUMN


def parity_error(bundle: Path, predict: Callable[[pa.Table], Floats]) -> float:
    """Return the largest difference between a scorer and the training library on the golden rows."""
    read = read_bundle(bundle)
    return float(np.abs(predict(read.golden) - outputs_of(read.golden, read.description)).max())


def sample_reference(seen: pa.Table, holdout: pa.Table, *, n_rows: int) -> pa.Table:
    """Take at most ``n_rows`` rows, as many from each day, spread evenly over the day's rows.

    Parameters
    ----------
    seen, holdout : pyarrow.Table
        The examples that the model was made from, and those that it was measured on.

    Returns
    -------
    pyarrow.Table
        Their columns, and ``is_holdout``.
    """
    is_holdout = np.repeat([False, True], [seen.num_rows, holdout.num_rows])
    both = pa.concat_tables([seen, holdout]).append_column("is_holdout", pa.array(is_holdout))
    both = both.sort_by(PARTITION_COLUMN)  # stable: a day's own order stays
    _, starts, sizes = np.unique(both[PARTITION_COLUMN].to_numpy(), return_index=True, return_counts=True)
    per_day = max(1, n_rows // starts.size)
    chosen = [start + _spread(size, per_day) for start, size in zip(starts, sizes, strict=True)]
    return both.take(pa.array(np.concatenate(chosen)[:n_rows]))


def _spread(n: int, at_most: int) -> npt.NDArray[np.int64]:
    """Return at most ``at_most`` of the numbers below ``n``, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(np.int64))
