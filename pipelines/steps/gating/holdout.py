"""The challenger's held-out rows, as the lake has them now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import NotReadyError
from pipelines.evaluation.slices import with_columns
from pipelines.features.query import load_features
from pipelines.features.target import encode_target
from pipelines.records import TrainedModel, partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN, Lake
from pipelines.training.row_split import HOLDOUT, row_sides, row_units

Floats = npt.NDArray[np.float64]

# Fewer days than this say nothing about how much days differ: groups of rows are resampled then.
_MIN_DAYS = 3


@dataclass(frozen=True)
class Holdout:
    """The challenger's held-out rows; those without a label have target nan.

    ``units`` says which rows belong together when luck is measured, ``unit`` in words what they are;
    ``published`` holds the features of all rows of the days, held out or not. ``features`` has, beside them,
    the landed columns by which groups of rows are told apart; ``landed`` has these as they landed, also
    where a feature has the name of one.
    """

    days: list[str]
    published: pa.Table
    features: pa.Table
    landed: pa.Table
    target: Floats
    units: npt.NDArray[Any]
    unit: str


def load_holdout(trained: TrainedModel, runtime: Runtime) -> Holdout:
    """Read the holdout of a training, features computed anew from the lake.

    Raises
    ------
    NotReadyError
        If none of its days is in the lake any more.
    """
    config, lake = runtime.dataset(trained.dataset), runtime.lake
    span = partition_range(trained.holdout_first, trained.last_partition)
    labelled = set(lake.partition_keys(trained.dataset, "labels"))
    present = labelled & set(lake.partition_keys(trained.dataset, "validated"))
    days = [key for key in span if key in present]
    if not days:
        raise NotReadyError(
            f"None of the days {span[0]} to {span[-1]}, on which {trained.dataset} holds its challenger to "
            "account, is in the lake with labels: ingest and validate them again."
        )
    published = load_features(
        lake, trained.dataset, config=config, project=runtime.settings.project, partitions=days
    )
    landed = lake.read(trained.dataset, "validated", partitions=days, columns=_landed(config))
    features = with_columns(published, landed, landed.column_names, key=ROW_KEY)
    labels = read_targets(trained.dataset, days, config=config, lake=lake)
    target = floats(labels[config.target].take(pc.index_in(features[ROW_KEY], labels[ROW_KEY])))
    if config.training.split == "rows":
        chosen = held_out(features[ROW_KEY], np.isfinite(target), config.training.holdout_fraction)
        features, target = features.filter(pa.array(chosen)), target[chosen]
    plain = with_columns(
        features.select([ROW_KEY, PARTITION_COLUMN]), landed, landed.column_names, key=ROW_KEY
    )
    if config.training.split == "rows" or len(days) < _MIN_DAYS:
        units, unit = row_units(features[ROW_KEY]), "groups of rows"
    else:
        units, unit = features[PARTITION_COLUMN].to_numpy(), "days"
    return Holdout(days, published, features, plain, target, units, unit)


def load_seen(trained: TrainedModel, runtime: Runtime) -> pa.Table:
    """Return the rows that the challenger was made from: keys, groups and known targets, no features."""
    config, lake = runtime.dataset(trained.dataset), runtime.lake
    is_by_rows = config.training.split == "rows"
    last = trained.last_partition if is_by_rows else shift_partition(trained.holdout_first, -1)
    days = partition_range(trained.first_partition, last)
    labels = read_targets(trained.dataset, days, config=config, lake=lake)
    is_seen = np.isfinite(floats(labels[config.target]))
    if is_by_rows:
        is_seen &= ~held_out(labels[ROW_KEY], is_seen, config.training.holdout_fraction)
    labels = labels.filter(pa.array(is_seen))
    landed = lake.read(trained.dataset, "validated", partitions=days, columns=_landed(config))
    return with_columns(labels, landed, landed.column_names, key=ROW_KEY)


def read_targets(dataset: str, days: list[str], *, config: DatasetConfig, lake: Lake) -> pa.Table:
    """Return ``row_id``, ``partition_key`` and the target as a number, null where it is not known."""
    columns = [ROW_KEY, PARTITION_COLUMN, config.target]
    labels = lake.read(dataset, "labels", partitions=days, columns=columns)
    place = labels.column_names.index(config.target)
    return labels.set_column(place, config.target, encode_target(labels[config.target], config).values)


def held_out(row_ids: pa.ChunkedArray, is_labelled: npt.NDArray[np.bool_], fraction: float) -> Any:
    """Return which rows a split by rows holds out, shape (n,): labelled ones only, as training has them."""
    chosen = np.zeros(len(row_ids), dtype=np.bool_)
    chosen[is_labelled] = row_sides(row_ids.filter(pa.array(is_labelled)), fraction) == HOLDOUT
    return chosen


def floats(column: pa.ChunkedArray) -> Floats:
    """Return a column as float64, null as nan."""
    array: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return array


def _landed(config: DatasetConfig) -> list[str]:
    """Return the key, the time, and the landed columns by which groups of rows are told apart."""
    groups = [*config.key, *config.evaluation.slices, *config.evaluation.protected]
    wanted = dict.fromkeys([*groups, *config.features.categorical])
    return [ROW_KEY, "event_time", *(name for name in wanted if name in config.columns)]
