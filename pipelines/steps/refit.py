"""Try whether a retraining would pay, where the data drifted and no loss is known."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.monitoring.consequence.refit import probe_refit
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.window import WindowReader
from pipelines.records import RefitProbe, partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.scoring.outcome import predict
from pipelines.scoring.scorer import Scorer

_MAX_DAYS, _MAX_ROWS = 60, 200_000


def try_refit(
    dataset: str, partition_key: str, *, model_version: str, reference: Reference, runtime: Runtime
) -> RefitProbe | None:
    """Compare a quick refit with the version that scored a night, on the labelled days before it.

    At most 60 days are read, fewer of a dataset of many rows a day, and none that the version has learned:
    what it costs does not grow with the history.

    Returns
    -------
    RefitProbe or None
        None where there are too few labelled days since the version was made.
    """
    config = runtime.dataset(dataset)
    recent = _recent(dataset, partition_key, reference, runtime=runtime)
    if not recent.num_rows:
        return None
    bundle = runtime.registry.bundle(dataset, model_version)
    with Scorer.open(bundle, runtime.settings.device) as scorer:
        return probe_refit(reference.table, recent, lambda table: predict(scorer, table, config), config)


def _recent(dataset: str, partition_key: str, reference: Reference, *, runtime: Runtime) -> pa.Table:
    """Return the features and labels of the days since the reference."""
    config = _looking_back(dataset, partition_key, runtime)
    reader = WindowReader(runtime.lake, dataset, config, runtime.settings.project)
    window = reader.read(partition_key, "")  # of no version: what it predicts is worked out here
    features = window.features.filter(pc.greater(window.features["partition_key"], reference.days.days[-1]))
    labels = window.labels.select(["row_id", config.target])
    return features.join(labels, keys="row_id", join_type="inner").combine_chunks()


def _looking_back(dataset: str, partition_key: str, runtime: Runtime) -> DatasetConfig:
    """Return the configuration with as long a window as its rows allow."""
    config = runtime.dataset(dataset)
    days = partition_range(shift_partition(partition_key, 1 - config.monitoring.window_days), partition_key)
    n_rows = runtime.lake.read(dataset, "validated", partitions=days, columns=["row_id"]).num_rows
    n_days = min(_MAX_DAYS, _MAX_ROWS * len(days) // max(1, n_rows))
    monitoring = config.monitoring.model_copy(update={"window_days": max(len(days), n_days)})
    return config.model_copy(update={"monitoring": monitoring})
