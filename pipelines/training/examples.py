"""Features and targets of the chosen days, and which days serve which purpose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.config import DatasetConfig
from pipelines.features.target import encode_target
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.snapshot import write_parquet

_VALIDATION_FRACTION = 0.12


@dataclass(frozen=True)
class Split:
    """Days by purpose, each in order and all of one later than all of the one before.

    Parameters
    ----------
    train : list of str
        To fit on.
    valid : list of str
        To stop early, and to choose between candidates.
    holdout : list of str
        Never seen by either: what the model is measured on.
    """

    train: list[str]
    valid: list[str]
    holdout: list[str]


def split_days(days: Sequence[str], holdout_days: int) -> Split:
    """Split days in time: the newest ``holdout_days`` are held out, and an eighth before them validates.

    Parameters
    ----------
    days : sequence of str
        At least ``holdout_days + 2`` partition keys.

    Raises
    ------
    ValueError
        If there are fewer.

    Examples
    --------
    >>> split_days(["2013-01-01", "2013-01-02", "2013-01-03"], 1).valid
    ['2013-01-02']
    """
    ordered = sorted(days)
    n_before = len(ordered) - holdout_days
    if n_before < 2:
        raise ValueError(f"{len(ordered)} days leave none to learn from beside a holdout of {holdout_days}.")
    n_valid = max(1, round(n_before * _VALIDATION_FRACTION))
    return Split(
        train=ordered[: n_before - n_valid],
        valid=ordered[n_before - n_valid : n_before],
        holdout=ordered[n_before:],
    )


def write_features(features: pa.Table, folder: Path, *, partitions: Iterable[str]) -> None:
    """Write one file of features a day, rows by row key, so that a day's bytes never change."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in partitions:
        rows = features.filter(pc.equal(features[PARTITION_COLUMN], key)).sort_by(ROW_KEY)
        write_parquet(rows.drop_columns([PARTITION_COLUMN]), folder / f"{key}.parquet")


def read_days(folder: Path, days: Sequence[str]) -> pa.Table:
    """Read the files ``<day>.parquet`` of some days as one table, with ``partition_key``, by day."""
    tables = [pq.read_table(folder / f"{key}.parquet") for key in days]
    keyed = [
        rows.append_column(PARTITION_COLUMN, pa.repeat(key, rows.num_rows))
        for key, rows in zip(days, tables, strict=True)
    ]
    return pa.concat_tables(keyed, promote_options="permissive")


def read_examples(features: Path, labels: Path, *, config: DatasetConfig, days: Sequence[str]) -> pa.Table:
    """Read the features of some days, with what happened.

    Parameters
    ----------
    features, labels : Path
        Folders of one Parquet file a day.

    Returns
    -------
    pyarrow.Table, shape (n, k + 4)
        ``row_id``, ``partition_key``, ``event_time``, the features, and the target as float64 (of a class its
        number). Events whose target is not known, or is none of the classes, are left out. Rows are ordered
        by day and row key.
    """
    target = config.target
    tables = []
    for key in days:
        rows = pq.read_table(features / f"{key}.parquet")
        known = pq.read_table(labels / f"{key}.parquet", columns=[ROW_KEY, target])
        happened = encode_target(known[target], config).values
        happened = happened.take(pc.index_in(rows[ROW_KEY], known[ROW_KEY]))
        rows = rows.add_column(1, PARTITION_COLUMN, pa.repeat(key, rows.num_rows))
        tables.append(rows.append_column(target, happened).filter(pc.is_valid(happened)))
    return pa.concat_tables(tables)


def count_strangers(labels: Path, config: DatasetConfig, days: Sequence[str]) -> dict[str, int]:
    """Return which labels of some days are none of the classes, and how often each occurs."""
    target = pa.chunked_array(
        [
            chunk
            for key in days
            for chunk in pq.read_table(labels / f"{key}.parquet", columns=[config.target])[0].chunks
        ]
    )
    return dict(encode_target(target, config).strangers)
