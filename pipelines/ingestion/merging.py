"""Merge deliveries: of the rows of one key, those of the newest version or the newest file stay.

The rows come ordered by partition and key, the newest first (see
:func:`pipelines.ingestion.landing.landing_query`), so a batch at a time is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingestion.landing import CONTENT, KEY, MARK, UNKEYED
from pipelines.ingestion.reading import REJECT_COLUMN
from pipelines.ingestion.sources import ORDER_COLUMN

_COMPARED = (ORDER_COLUMN, MARK, CONTENT)


@dataclass
class Counts:
    """What became of the rows that the source has for a partition: read = landed + replayed + superseded."""

    n_read: int = 0
    n_replayed: int = 0
    n_superseded: int = 0
    n_unreadable: int = 0
    n_miscast: int = 0


class Merger:
    """Takes the rows of a landing in order, and gives those that stay.

    Attributes
    ----------
    counts : dict of str to Counts
        By partition key.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}
        self._last_id: str | None = None
        self._newest: dict[str, Any] = {}

    def take(self, rows: pa.Table) -> list[tuple[str, pa.Table]]:
        """Return the rows that stay, by partition, in the order in which they came."""
        if rows.num_rows == 0:
            return []
        compared = {name: rows[name].to_numpy() for name in _COMPARED}
        first = self._first_of_its_key(rows["row_id"].combine_chunks())
        newest = {
            name: np.where(first >= 0, values[first], self._newest.get(name, values[0]))
            for name, values in compared.items()
        }
        same = {name: compared[name] == newest[name] for name in _COMPARED}
        stays = (same[ORDER_COLUMN] & same[MARK]) | rows[UNKEYED].to_numpy()
        self._last_id = rows["row_id"][-1].as_py()
        self._newest = {name: values[-1] for name, values in newest.items()}
        parts = []
        for key, start, stop in _runs(rows[KEY].combine_chunks()):
            part = rows.slice(start, stop - start)
            kept = stays[start:stop]
            self._count(key, part, kept, same[CONTENT][start:stop])
            parts.append((key, part if kept.all() else part.filter(pa.array(kept))))
        return parts

    def _first_of_its_key(self, row_ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return for each row the index of the first one of its key; -1 if that was in an earlier batch."""
        changes = np.ones(len(row_ids), bool)
        changes[1:] = pc.not_equal(row_ids.slice(1), row_ids.slice(0, len(row_ids) - 1)).to_numpy(False)
        changes[0] = row_ids[0].as_py() != self._last_id
        return np.maximum.accumulate(np.where(changes, np.arange(len(row_ids)), -1))

    def _count(
        self, key: str, rows: pa.Table, stays: npt.NDArray[np.bool_], is_same: npt.NDArray[np.bool_]
    ) -> None:
        counts = self.counts.setdefault(key, Counts())
        counts.n_read += rows.num_rows
        counts.n_replayed += int((~stays & is_same).sum())
        counts.n_superseded += int((~stays & ~is_same).sum())
        counts.n_unreadable += int((rows[REJECT_COLUMN].to_numpy() & stays).sum())
        counts.n_miscast += int((pc.is_valid(rows["miscast"]).to_numpy() & stays).sum())


def _runs(keys: pa.Array) -> list[tuple[str, int, int]]:
    encoded = pc.run_end_encode(keys)
    ends = encoded.run_ends.to_pylist()
    return list(zip(encoded.values.to_pylist(), [0, *ends], ends, strict=False))
