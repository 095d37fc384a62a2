"""Lay a snapshot of the past out again, from wherever its days are still kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from pipelines.errors import ConflictError, NotReadyError
from pipelines.storage.lake import Lake
from pipelines.training.dvc_objects import ObjectCache
from pipelines.training.kept_days import copy_object
from pipelines.training.snapshot import EVENTS, LABELS, Snapshot, expected_digests, write_days


def gather_snapshot(
    snapshot: Snapshot, folder: Path, *, cache: ObjectCache, kept: Mapping[str, str], lake: Lake
) -> list[str]:
    """Write the snapshot's files: out of the DVC cache, and what it lacks out of the lake.

    Parameters
    ----------
    kept : mapping of str to str
        The object of each file by its path in the snapshot, such as ``events/2013-01-01.parquet``.

    Returns
    -------
    list of str
        The paths that came from the lake.

    Raises
    ------
    NotReadyError
        If a day is nowhere; names the first.
    """
    from_lake = []
    for table in (EVENTS, LABELS):
        (folder / table).mkdir(parents=True, exist_ok=True)
        paths = {
            key: folder / table / f"{key}.parquet"
            for key in expected_digests(snapshot, table)
            if not _copy(cache, kept.get(f"{table}/{key}.parquet"), folder / table / f"{key}.parquet")
        }
        try:
            write_days(snapshot, table, paths, lake=lake)
        except ConflictError as error:
            raise NotReadyError(
                f"{len(paths)} days of the {table} that the model learned from, such as {min(paths)}, are "
                "neither in the DVC cache nor on its remote, and the lake no longer holds those rows: "
                "restore the remote (HOLDFAST_DVC_REMOTE) from a backup."
            ) from error
        from_lake += [f"{table}/{key}.parquet" for key in paths]
    return from_lake


def count_sources(
    files: Collection[str], *, fetched: Collection[str], from_lake: Collection[str]
) -> dict[str, int]:
    """Return how many files came from the ``cache``, the ``remote`` and the ``lake``."""
    return dict(
        Counter("lake" if path in from_lake else "remote" if path in fetched else "cache" for path in files)
    )


def _copy(cache: ObjectCache, name: str | None, path: Path) -> bool:
    return name is not None and copy_object(cache, name, path)
