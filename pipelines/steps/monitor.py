"""Judge a night's data, predictions and labels against what the model was made of."""

from __future__ import annotations

import time

from pipelines.errors import NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.monitoring.reference import Reference, read_reference
from pipelines.monitoring.report import column_histograms, evidently_pages, write_report
from pipelines.monitoring.window import Window, WindowReader
from pipelines.records import DriftRecord, ScoringRecord, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.champions import check_champion
from pipelines.steps.episodes import follow_episode
from pipelines.steps.estimates import score_estimates
from pipelines.steps.faulty_nights import hold_faulty_nights, is_held
from pipelines.steps.judged_again import mark_judged_again, performance_of_night
from pipelines.steps.night import PAGE, draw_night
from pipelines.steps.tell import tell_episode, tell_unsent
from pipelines.steps.verdict import Night, judge_night


def monitor(dataset: str, partition_key: str, *, runtime: Runtime) -> DriftRecord:
    """Judge one night, draw its pages, write the verdict down, and tell people where they are needed.

    Four kinds of drift are told apart: ``data`` (features, one by one and together), ``prediction`` (against
    the holdout's), ``label`` (the target, once known) and ``concept`` (the primary metric on mature labels).
    A move that costs the model nothing, as far as is known or expected, is put on record; a loss asks for a
    retraining; what looks like a fault of the data asks for a person. A night that was judged before, on the
    predictions of another version, is judged again for the record alone
    (:mod:`~pipelines.steps.judged_again`).

    Parameters
    ----------
    dataset, partition_key : str
        The night; it must have been scored.

    Returns
    -------
    DriftRecord
        About the model version that scored the night. A repeat gives the same record, tells nobody twice, and
        opens no second episode.

    Raises
    ------
    NotReadyError
        If the night has not been scored.
    EngineError
        If Evidently, the lake or the disk fails; the same night can be judged again.
    """
    started = time.monotonic()
    check_champion(dataset, partition_key, runtime=runtime)
    judged = runtime.ledger.latest(DriftRecord, dataset, partition_key)
    if judged is not None and is_held(dataset, partition_key, runtime=runtime):
        # Its rows are in quarantine because of that verdict: without them there is nothing to judge.
        return judged
    scoring = _scoring_of(dataset, partition_key, runtime.ledger)
    version = scoring.model_version
    reference = open_reference(dataset, version, runtime=runtime)
    config = runtime.dataset(dataset)
    reader = WindowReader(runtime.lake, dataset, config, runtime.settings.project)
    window = reader.read(partition_key, version)
    record = judge_night(Night(dataset, partition_key, version), reference, window, runtime=runtime)
    judged_on = {
        "predictions_digest": scoring.predictions_digest,
        "reference_digest": reference.digest,
        "report_path": f"{dataset}/{partition_key}/{PAGE}",
    }
    record = mark_judged_again(record.model_copy(update=judged_on), runtime=runtime)
    _draw(record, reference, window, runtime=runtime)
    draw_night(dataset, partition_key, runtime=runtime, drift=record)
    # Written down once its pages are there: a verdict in the ledger has them.
    record = record.model_copy(update={"duration_seconds": time.monotonic() - started})
    runtime.ledger.record(record)
    hold_faulty_nights(record, runtime=runtime)
    score_estimates(dataset, partition_key, runtime=runtime)
    episode = follow_episode(record, runtime=runtime)
    if episode is not None:
        tell_episode(episode, runtime=runtime)
        draw_night(dataset, partition_key, runtime=runtime)
    tell_unsent(runtime=runtime)
    return record


def open_reference(dataset: str, model_version: str, *, runtime: Runtime) -> Reference:
    """Return what later nights of a model version are compared with; raises as the registry does."""
    return read_reference(
        runtime.registry.reference(dataset, model_version),
        runtime.dataset(dataset),
        sketch=runtime.registry.reference_sketch(dataset, model_version),
    )


def _scoring_of(dataset: str, partition_key: str, ledger: Ledger) -> ScoringRecord:
    scoring = ledger.latest(ScoringRecord, dataset, partition_key)
    if scoring is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been scored: run `holdfast score {dataset} {partition_key}`."
        )
    return scoring


def _draw(record: DriftRecord, reference: Reference, window: Window, *, runtime: Runtime) -> None:
    config = runtime.dataset(record.dataset)
    labelled_key = shift_partition(record.partition_key, -config.label_delay_days)
    now = window.counted(reference.days.grid.select(config.features.columns))
    write_report(
        runtime.settings.reports / record.dataset / record.partition_key,
        record=record,
        performance=performance_of_night(record, labelled_key, runtime=runtime),
        pages=evidently_pages(reference, window, record, config),
        columns=column_histograms(reference.days.total, now.total),
    )
