"""Which rows are held out where a table has no time: chosen by a digest of each row's key.

The partition is no part of that key, so that a row which comes again in the next snapshot of its table is
on the same side in every partition, and in every training to come.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import NotReadyError
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.engine import connect

TRAIN, VALID, HOLDOUT = 0, 1, 2
N_UNITS = 64

_VALIDATION_FRACTION = 0.12
_HASHES = """
SELECT md5_number_upper(key) AS side, md5_number_lower(key) AS unit
FROM (SELECT substr(row_id, strpos(row_id, '|') + 1) AS key FROM holdfast_rows)
"""
_HASH_RANGE = 2.0**64

Integers = npt.NDArray[np.int64]


class Examples(NamedTuple):
    """The rows to fit on, those to stop early and to choose by, and those that neither has seen."""

    train: pa.Table
    valid: pa.Table
    holdout: pa.Table

    @property
    def seen(self) -> pa.Table:
        """What the model was made from: the rows to fit on, and those to choose by."""
        return pa.concat_tables([self.train, self.valid])


def split_rows(examples: pa.Table, holdout_fraction: float) -> Examples:
    """Split examples by their keys.

    Raises
    ------
    NotReadyError
        If there are fewer than three keys.
    """
    side = row_sides(examples[ROW_KEY], holdout_fraction)
    return Examples(*(examples.filter(pa.array(side == purpose)) for purpose in (TRAIN, VALID, HOLDOUT)))


def row_sides(row_ids: pa.ChunkedArray, holdout_fraction: float) -> Integers:
    """Return ``TRAIN``, ``VALID`` or ``HOLDOUT`` for each row.

    A key is held out if its digest, as a number from 0 to 1, is below ``holdout_fraction``, and validates if
    it is in the eighth of the rest that follows. Where a side would have no row at all, the key with the
    next digest is taken.

    Parameters
    ----------
    row_ids : pyarrow.ChunkedArray of string, shape (n,)
        Of the rows whose label is known.

    Raises
    ------
    NotReadyError
        If there are fewer than three keys.
    """
    share = _hashes(row_ids)[0] / _HASH_RANGE
    keys = np.unique(share)
    if keys.size < 3:
        raise NotReadyError(
            f"{keys.size} labelled rows of different keys are too few to learn from, to choose by and to "
            "hold out: ingest more."
        )
    n_holdout = max(1, int(np.searchsorted(keys, holdout_fraction)))
    valid_until = holdout_fraction + (1 - holdout_fraction) * _VALIDATION_FRACTION
    n_both = max(n_holdout + 1, int(np.searchsorted(keys, valid_until)))
    first_valid, first_train = keys[min(n_holdout, keys.size - 2)], keys[min(n_both, keys.size - 1)]
    return np.where(share < first_valid, HOLDOUT, np.where(share < first_train, VALID, TRAIN))


def row_units(row_ids: pa.ChunkedArray) -> Integers:
    """Return one of 64 units for each row, all rows of one key in the same: what to resample instead of days.

    Keys fall into them at random, so totals over resampled units vary as totals over resampled keys do.
    """
    return (_hashes(row_ids)[1] % N_UNITS).astype(np.int64)


def _hashes(row_ids: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    with connect() as connection:
        connection.register("holdfast_rows", pa.table({ROW_KEY: row_ids}))
        found = connection.sql(_HASHES).to_arrow_table()
    return found["side"].to_numpy(), found["unit"].to_numpy()
