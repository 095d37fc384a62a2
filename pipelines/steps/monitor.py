"""Judge a night's data, predictions and labels against what the model was made of."""

from __future__ import annotations

import time

from pipelines.config import DatasetConfig
from pipelines.errors import NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.monitoring.calibration import Calibrations
from pipelines.monitoring.judge import Judge
from pipelines.monitoring.reference import Reference, read_reference
from pipelines.monitoring.report import evidently_pages, write_report
from pipelines.monitoring.window import Window, WindowReader
from pipelines.records import (
    DriftRecord,
    PerformanceRecord,
    ScoringRecord,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.night import PAGE, draw_night


def monitor(dataset: str, partition_key: str, *, runtime: Runtime) -> DriftRecord:
    """Judge one night, draw its pages, and write the verdict down.

    Four kinds of drift are told apart: ``data`` (more features than calm days explain),
    ``prediction`` (against the holdout's), ``label`` (the target, once known) and ``concept`` (the
    primary metric over the labelled days, against what the holdout makes plausible). Data and
    concept drift raise the alarm.

    Parameters
    ----------
    dataset, partition_key : str
        The night; it must have been scored.

    Returns
    -------
    DriftRecord
        About the model version that scored the night. Confirmed if it is an alarm, and enough of
        the last nights (``persistence_nights`` of ``persistence_window``, this one included) were.

    Raises
    ------
    NotReadyError
        If the night has not been scored.
    EngineError
        If Evidently, the lake or the disk fails; the same night can be judged again.
    """
    started = time.monotonic()
    config = runtime.dataset(dataset)
    scoring = runtime.ledger.latest(ScoringRecord, dataset, partition_key)
    if scoring is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been scored: run `holdfast score {dataset} {partition_key}`."
        )
    version = scoring.model_version
    reference = read_reference(runtime.registry.reference(dataset, version), config)
    reader = WindowReader(runtime.lake, dataset, config, runtime.settings.project)
    window = reader.read(partition_key, version)
    calibrations = Calibrations(reference, config, runtime.settings.home / "calibration")
    verdict = Judge(reference, config, calibrations).verdict(dataset, partition_key, version, window)
    record = _confirmed(verdict, config, runtime.ledger)
    _draw(record, reference, window, runtime=runtime)
    draw_night(dataset, partition_key, runtime=runtime, drift=record)
    # Written down last: a verdict in the ledger has its pages.
    record = record.model_copy(update={"duration_seconds": time.monotonic() - started})
    runtime.ledger.record(record)
    return record


def _confirmed(record: DriftRecord, config: DatasetConfig, ledger: Ledger) -> DriftRecord:
    """Return the record with the alarms of the nights before it counted in."""
    monitoring = config.monitoring
    earlier = ledger.history(
        DriftRecord,
        record.dataset,
        first=shift_partition(record.partition_key, 1 - monitoring.persistence_window),
        last=shift_partition(record.partition_key, -1),
        subject=record.model_version,
    )
    n_alarms = int(record.is_alarm) + sum(night.is_alarm for night in earlier)
    return record.model_copy(
        update={
            "n_alarm_nights": n_alarms,
            # A calm night confirms nothing, however loud the nights before it were.
            "is_confirmed": record.is_alarm and n_alarms >= monitoring.persistence_nights,
            "report_path": f"{record.dataset}/{record.partition_key}/{PAGE}",
        }
    )


def _draw(record: DriftRecord, reference: Reference, window: Window, *, runtime: Runtime) -> None:
    config = runtime.dataset(record.dataset)
    labelled_key = shift_partition(record.partition_key, -config.label_delay_days)
    folder = runtime.settings.reports / record.dataset / record.partition_key
    write_report(
        folder,
        record=record,
        performance=runtime.ledger.latest(PerformanceRecord, record.dataset, labelled_key),
        pages=evidently_pages(reference, window, record, config),
    )
