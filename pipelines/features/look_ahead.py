"""Check a dataset's features for look-ahead: recompute a day as it was known, and compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.features.query import compute_features
from pipelines.records import shift_partition
from pipelines.storage.lake import PARTITION_COLUMN

# Sums of floats may differ in their last digits, for they are added in another order.
_TOLERANCE = 1e-9


def check_look_ahead(
    events: pa.Table,
    labels: pa.Table,
    *,
    config: DatasetConfig,
    sql: str,
    features: pa.Table,
    n_partitions: int = 5,
    seed: int = 0,
) -> list[str]:
    """Return the feature columns that the night itself would have computed otherwise.

    Sampled partitions D are recomputed from what their own night could see: events of
    ``D - history_days .. D`` and labels up to ``D - label_delay_days``. A column that then differs
    in any row has used what came later, or what lies further back than the history that scoring
    reads; either way a model trained on it would meet other values when it scores.

    Parameters
    ----------
    events, labels : pyarrow.Table
        What ``features`` were computed from, as :func:`~pipelines.features.query.compute_features`
        takes them: all the history, also after each partition.
    features : pyarrow.Table
        To be checked; as ``compute_features`` gave them for several partitions at once.
    n_partitions : int
        How many partitions to recompute, at least 1. The last one is taken only if there is no
        other: nothing comes after it.
    seed : int
        Chooses the partitions.

    Returns
    -------
    list of str
        In the order of ``config.features.columns``; empty if all is well.

    Raises
    ------
    ConfigError
        As ``compute_features``, or if ``features`` has no rows: nothing would be checked.
    """
    present = sorted(pc.unique(features[PARTITION_COLUMN]).to_pylist())
    if not present:
        raise ConfigError("There are no features to check for look-ahead.")
    changed: set[str] = set()
    for key in _sample(present[:-1] or present, n_partitions, seed):
        history = _between(events, shift_partition(key, -config.features.history_days), key)
        known = _between(labels, "", shift_partition(key, -config.label_delay_days))
        then = compute_features(history, known, config=config, sql=sql, partitions=[key])
        now = _between(features, key, key).sort_by("row_id")
        changed |= {name for name in config.features.columns if _differs(now, then, name)}
    return [name for name in config.features.columns if name in changed]


def _sample(keys: Sequence[str], size: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return sorted(generator.choice(list(keys), size=min(size, len(keys)), replace=False).tolist())


def _between(table: pa.Table, first: str, last: str) -> pa.Table:
    keys = table[PARTITION_COLUMN]
    return table.filter(pc.and_(pc.greater_equal(keys, first), pc.less_equal(keys, last)))


def _differs(now: pa.Table, then: pa.Table, name: str) -> bool:
    if now["row_id"].to_pylist() != then["row_id"].to_pylist():
        return True
    if not pa.types.is_floating(now[name].type):
        return bool(now[name].combine_chunks() != then[name].combine_chunks())
    is_close = np.isclose(
        now[name].to_numpy(), then[name].to_numpy(), rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
    )
    return not bool(is_close.all())
