"""The rows of past nights that two models have predicted: one in public, one in the shadow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.target import encode_target
from pipelines.metrics.quality import Floats
from pipelines.monitoring.reference import predicted_values
from pipelines.records import ScoringRecord, ShadowScoringRecord, shift_partition
from pipelines.runtime import Runtime
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN

SHADOW_TABLE = "shadow_predictions"


class PairedRows(NamedTuple):
    """Rows whose target is known and that both have predicted, in one order.

    ``public`` are the published predictions, ``shadow`` the others; ``row_ids`` and ``nights`` say whose.
    """

    target: Floats
    public: Floats
    shadow: Floats
    row_ids: pa.ChunkedArray
    nights: npt.NDArray[np.str_]


def shadow_nights(
    dataset: str, shadow_version: str, *, beside: str, after: str, runtime: Runtime
) -> list[str]:
    """Return the nights after a day that one version scored in public, and another in its shadow, in order.

    Nights that were scored anew since, by a third version, are not among them.
    """
    first = shift_partition(after, 1)
    scored = runtime.ledger.history(ShadowScoringRecord, dataset, first=first, subject=shadow_version)
    found = [record.partition_key for record in scored if record.beside == beside]
    if not found:
        return []
    # By age within a partition: the last one stays.
    public = {
        record.partition_key: record.model_version
        for record in runtime.ledger.history(ScoringRecord, dataset, first=found[0], last=found[-1])
    }
    return [night for night in found if public.get(night) == beside]


def labelled_nights(dataset: str, nights: Sequence[str], as_of: str, *, runtime: Runtime) -> list[str]:
    """Return those of some nights whose labels are mature as of a night, and in the lake."""
    newest = shift_partition(as_of, -runtime.dataset(dataset).maturity_days)
    mature = [night for night in nights if night <= newest]
    if not mature:
        return []
    there = set(runtime.lake.partition_keys(dataset, "labels"))
    return [night for night in mature if night in there]


def paired_rows(
    dataset: str, nights: Sequence[str], *, public: str, shadow: str, runtime: Runtime
) -> PairedRows:
    """Read the rows of some nights that version ``public`` and version ``shadow`` have predicted.

    Raises
    ------
    NotReadyError
        If a table does not exist.
    """
    config, lake = runtime.dataset(dataset), runtime.lake
    published, beside = (
        _of_version(lake.read(dataset, table, partitions=nights), version)
        for table, version in (("predictions", public), (SHADOW_TABLE, shadow))
    )
    labels = lake.read(dataset, "labels", partitions=nights, columns=[ROW_KEY, config.target])
    target = encode_target(labels[config.target], config).values
    place = pc.index_in(published[ROW_KEY], value_set=labels[ROW_KEY])
    known = target.take(place)
    other = pc.index_in(published[ROW_KEY], value_set=beside[ROW_KEY])
    is_paired = pc.and_(pc.is_valid(known), pc.is_valid(other))
    published, beside = published.filter(is_paired), beside.take(other.filter(is_paired))
    return PairedRows(
        target=np.asarray(known.filter(is_paired).to_numpy(), dtype=np.float64),
        public=predicted_values(published, config.task),
        shadow=predicted_values(beside, config.task),
        row_ids=published[ROW_KEY],
        nights=published[PARTITION_COLUMN].to_numpy(zero_copy_only=False).astype(str),
    )


def _of_version(predictions: pa.Table, version: str) -> pa.Table:
    return predictions.filter(pc.equal(predictions["model_version"], version))
