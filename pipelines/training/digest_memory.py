"""The digests of days that were computed before: a new day hashes its own rows, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pipelines.records import digest_of
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import Lake
from pipelines.storage.whole_files import write_atomically
from pipelines.training.snapshot import LAKE_TABLES, read_partitions

_Days = dict[str, tuple[str, str, int]]


class DigestMemory:
    """Remembers the digest of each partition's rows for as long as the lake keeps them in the same files.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is kept. What is there and damaged is as good as nothing: all is computed anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def digests(
        self, lake: Lake, dataset: str, table: str, keys: Iterable[str]
    ) -> dict[str, tuple[str, int]]:
        """Return the digest of each partition's rows, and how many they are; those without rows are left out.

        Parameters
        ----------
        table : str
            ``events`` or ``labels``.
        """
        files, known = lake.file_digests(dataset, LAKE_TABLES[table]), self._read(dataset, table)
        wanted = [key for key in keys if key in files]
        new = [key for key in wanted if key not in known or known[key][0] != files[key]]
        for key, rows in read_partitions(lake, dataset, table, new):
            known[key] = (files[key], table_digest(rows), rows.num_rows)
        if new:
            self._write(dataset, table, {key: known[key] for key in sorted(known.keys() & files.keys())})
        return {key: known[key][1:] for key in wanted if key in known and known[key][0] == files[key]}

    def forget(self, dataset: str) -> None:
        """Have everything of a dataset computed anew: its lake may have been changed behind Delta's back."""
        for table in LAKE_TABLES:
            self._path(dataset, table).unlink(missing_ok=True)

    def _path(self, dataset: str, table: str) -> Path:
        return self._folder / f"{dataset}.{table}.json"

    def _read(self, dataset: str, table: str) -> _Days:
        try:
            content = json.loads(self._path(dataset, table).read_bytes())
            if content["digest"] != digest_of(content["days"]):
                return {}
            return {key: (files, digest, n_rows) for key, (files, digest, n_rows) in content["days"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write(self, dataset: str, table: str, days: _Days) -> None:
        # Of two at once the last one wins; what the other one learned is learned again.
        text = json.dumps({"digest": digest_of(days), "days": days})
        write_atomically(self._path(dataset, table), text)
