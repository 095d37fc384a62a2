"""What was known on a night: its windows of features, predictions and labels, read from the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import NotReadyError
from pipelines.features.query import load_features
from pipelines.features.target import encode_target
from pipelines.monitoring.performance.labelled import join_labels
from pipelines.monitoring.sketch import DaySketches, Grid, sketch_days
from pipelines.records import partition_range, shift_partition
from pipelines.storage.lake import Lake


@dataclass(frozen=True)
class Window:
    """All that a night is judged by.

    Parameters
    ----------
    features : pyarrow.Table
        The features of the published rows of the last ``window_days`` days, the night included.
    predictions : pyarrow.Table
        The model's own predictions of those days.
    labels : pyarrow.Table
        ``row_id``, ``partition_key`` and the target, as a number, of the published rows of the last
        ``window_days`` days whose labels were mature by that night: those that come early are no fair sample.
    labelled : pyarrow.Table
        The model's predictions of those days, joined with the labels.
    first, last : str
        The partition keys that the window of features starts and ends with.
    strangers : mapping of str to int
        Labels of those days that are none of the classes, and how often each occurs.
    """

    features: pa.Table
    predictions: pa.Table
    labels: pa.Table
    labelled: pa.Table
    first: str
    last: str
    strangers: Mapping[str, int] = field(default_factory=dict)
    _counted: dict[str, DaySketches] = field(default_factory=dict, init=False, repr=False, compare=False)

    def counted(self, grid: Grid) -> DaySketches:
        """Return the features' rows of each day, counted on a grid: once, however many ask."""
        if grid.digest not in self._counted:
            self._counted[grid.digest] = sketch_days(self.features, grid)
        return self._counted[grid.digest]


@dataclass(frozen=True)
class WindowReader:
    """Reads windows of one dataset.

    Parameters
    ----------
    lake : Lake
        Its tables.
    dataset : str
        Which.
    config : DatasetConfig
        Its configuration.
    project : Path
        The folder that the features' SQL is below.
    """

    lake: Lake
    dataset: str
    config: DatasetConfig
    project: Path

    def read(self, partition_key: str, model_version: str) -> Window:
        """Return the windows of one night, as they were known on that night.

        Labels of later nights are left alone, also where the lake holds them already.

        Raises
        ------
        NotReadyError
            If a table does not exist yet, or no row of the window is published.
        """
        days = self._days(partition_key)
        mature_days = self._days(shift_partition(partition_key, -self.config.maturity_days))
        published = set(self.lake.partition_keys(self.dataset, "validated"))
        if published.isdisjoint(days):
            raise NotReadyError(
                f"{self.dataset} has no published rows from {days[0]} to {days[-1]} to judge."
            )
        labels, strangers = self._labels([day for day in mature_days if day in published])
        return Window(
            features=load_features(
                self.lake,
                self.dataset,
                config=self.config,
                project=self.project,
                partitions=[day for day in days if day in published],
            ),
            predictions=self._predictions(days, model_version),
            labels=labels,
            labelled=join_labels(self._predictions(mature_days, model_version), labels, self.config.target),
            first=days[0],
            last=days[-1],
            strangers=strangers,
        )

    def _days(self, last: str) -> list[str]:
        return partition_range(shift_partition(last, 1 - self.config.monitoring.window_days), last)

    def _predictions(self, days: Sequence[str], model_version: str) -> pa.Table:
        found = self.lake.read(self.dataset, "predictions", partitions=days)
        return found.filter(pc.equal(found["model_version"], model_version))

    def _labels(self, days: Sequence[str]) -> tuple[pa.Table, Mapping[str, int]]:
        """Return the known labels of published rows as numbers, and those that are none of the classes.

        What went to quarantine was never scored.
        """
        target = self.config.target
        labels = self.lake.read(self.dataset, "labels", partitions=days, columns=["row_id", target])
        rows = self.lake.read(self.dataset, "validated", partitions=days, columns=["row_id"])
        labels = labels.filter(pc.is_in(labels["row_id"], value_set=rows["row_id"]))
        encoded = encode_target(labels[target], self.config)
        labels = labels.set_column(labels.column_names.index(target), target, encoded.values)
        return labels.filter(pc.is_valid(labels[target])), encoded.strangers
