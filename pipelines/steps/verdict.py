"""The verdict on one night: what moved, what it means, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipelines.config import DatasetConfig
from pipelines.ledger.ledger import Ledger
from pipelines.monitoring.bugs import find_bugs
from pipelines.monitoring.consequence.triage import Triage, triage
from pipelines.monitoring.evidently_report.default_rule import evidently_default
from pipelines.monitoring.performance.concept import judge_performance
from pipelines.monitoring.performance.estimation import fit_estimator, with_features
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.sentences import refit_sentence
from pipelines.monitoring.significance.findings import Findings
from pipelines.monitoring.significance.judge import Judge
from pipelines.monitoring.window import Window
from pipelines.records import (
    ConceptDrift,
    DataBug,
    DriftRecord,
    PerformanceEstimate,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.importance import importances
from pipelines.steps.refit import try_refit

# What asks for more is graver: an alarm is only confirmed by nights at least as grave.
_GRAVITY = {"none": 0, "record": 1, "retrain": 2, "investigate": 3}


class Night(NamedTuple):
    """The night that is judged, and the version that scored it."""

    dataset: str
    partition_key: str
    model_version: str


class _Evidence(NamedTuple):
    """All that a night's verdict rests on."""

    findings: Findings
    concept: ConceptDrift | None
    estimate: PerformanceEstimate | None
    bugs: tuple[DataBug, ...]
    notes: tuple[str, ...]


def judge_night(night: Night, reference: Reference, window: Window, *, runtime: Runtime) -> DriftRecord:
    """Return the verdict on a night, with the nights before it counted in.

    Parameters
    ----------
    reference : Reference
        Of the version.
    window : Window
        What was known on that night.

    Returns
    -------
    DriftRecord
        Confirmed if it is critical, or if enough of the last nights (``persistence_nights`` of
        ``persistence_window``, this one included) asked for as much.
    """
    config = runtime.dataset(night.dataset)
    evidence = _gather(night, reference, window, runtime=runtime)
    weights: Mapping[str, float] = {}
    if evidence.findings.drifted:
        # Running the model costs seconds: on a calm night there is nothing to rank.
        weights = importances(night.dataset, night.model_version, reference, runtime=runtime)
    meaning = triage(
        evidence.findings,
        concept=evidence.concept,
        estimate=evidence.estimate,
        bugs=evidence.bugs,
        importances=weights,
        config=config,
    )
    record = _record(night, window, evidence, meaning)
    seen = evidently_default(reference.table, window.features, config)
    if seen is not None:
        compared = {"evidently_fraction": seen.fraction, "evidently_alarm": seen.is_alarm}
        record = record.model_copy(update=compared)
    record = _with_nights_before(record, config, runtime.ledger)
    if record.is_confirmed and record.action == "record":
        record = _with_refit(record, reference, runtime=runtime)
        record = _with_nights_before(record, config, runtime.ledger)
    return record


def _gather(night: Night, reference: Reference, window: Window, *, runtime: Runtime) -> _Evidence:
    config = runtime.dataset(night.dataset)
    findings = Judge(reference, config, runtime.settings.home / "calibration").findings(window)
    newest = shift_partition(night.partition_key, -config.maturity_days)
    estimator = fit_estimator(reference.holdout, config)
    nights = window.counted(reference.days.grid.select(config.features.columns))
    known = _bugs_of_the_night_before(night, runtime.ledger)
    return _Evidence(
        findings=findings,
        concept=judge_performance(window.labelled, reference.holdout, config, newest=newest),
        estimate=estimator.estimate(with_features(window.predictions, window.features, config)),
        bugs=find_bugs(reference.days, nights, findings.drifted, config, known=known),
        notes=(*findings.notes, *([estimator.reason] if estimator.reason else [])),
    )


def _bugs_of_the_night_before(night: Night, ledger: Ledger) -> tuple[DataBug, ...]:
    before = shift_partition(night.partition_key, -1)
    found = ledger.latest(DriftRecord, night.dataset, before, subject=night.model_version)
    return () if found is None else found.bugs


def _record(night: Night, window: Window, evidence: _Evidence, meaning: Triage) -> DriftRecord:
    findings = evidence.findings
    return DriftRecord(
        dataset=night.dataset,
        partition_key=night.partition_key,
        model_version=night.model_version,
        window=(window.first, window.last),
        columns=meaning.columns,
        prediction=findings.prediction,
        label=findings.label,
        joint=findings.joint,
        concept=evidence.concept,
        estimate=evidence.estimate,
        bugs=evidence.bugs,
        kinds=meaning.kinds,
        severity=meaning.severity,
        action=meaning.action,
        reasons=meaning.reasons,
        is_alarm=meaning.action != "none",
        is_confirmed=False,
        n_alarm_nights=0,
        is_page=meaning.is_page,
        expected_loss=meaning.expected_loss,
        notes=evidence.notes,
        calibration_digest=findings.calibration_digest,
    )


def _with_refit(record: DriftRecord, reference: Reference, *, runtime: Runtime) -> DriftRecord:
    """Return the record with a refit tried: where it is worth it, the drift does cost something."""
    tried = try_refit(
        record.dataset,
        record.partition_key,
        model_version=record.model_version,
        reference=reference,
        runtime=runtime,
    )
    if tried is None:
        return record
    if not tried.is_worth_it:
        reasons = (*record.reasons, refit_sentence(tried))
        return record.model_copy(update={"refit": tried, "reasons": reasons})
    changes: dict[str, Any] = {
        "refit": tried,
        "action": "retrain",
        "is_page": True,
        "expected_loss": tried.gain,
        # The first reason was that the model is no worse for it.
        "reasons": (refit_sentence(tried), *record.reasons[1:]),
    }
    return record.model_copy(update=changes)


def _with_nights_before(record: DriftRecord, config: DatasetConfig, ledger: Ledger) -> DriftRecord:
    if not record.is_alarm:
        # A calm night confirms nothing, however loud the nights before it were.
        return record
    monitoring = config.monitoring
    earlier = ledger.history(
        DriftRecord,
        record.dataset,
        first=shift_partition(record.partition_key, 1 - monitoring.persistence_window),
        last=shift_partition(record.partition_key, -1),
        subject=record.model_version,
    )
    n_alarms = 1 + sum(
        night.is_alarm and _GRAVITY[night.action] >= _GRAVITY[record.action] for night in earlier
    )
    is_confirmed = record.severity == "critical" or n_alarms >= monitoring.persistence_nights
    return record.model_copy(
        update={
            "n_alarm_nights": n_alarms,
            "is_confirmed": is_confirmed,
            "is_page": record.is_page and is_confirmed,
        }
    )
