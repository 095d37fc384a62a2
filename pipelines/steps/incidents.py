"""Say in words what a confirmed alarm is about: its cause, its consequence, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.errors import printable
from pipelines.ledger.episodes import Action, Incident
from pipelines.metrics import metric_name
from pipelines.monitoring.sentences import drifted_columns
from pipelines.records import DriftRecord, PerformanceEstimate

_N_NAMED = 3
_MAX_NAME_CHARS = 80
_MAX_SENTENCE_CHARS = 600


def incident_of(record: DriftRecord, action: Action, *, first_alarm: str) -> Incident:
    """Return what a night's confirmed alarm says of an incident.

    Parameters
    ----------
    action : str
        The record's, which is not ``none``.
    first_alarm : str
        The first night of the alarms that confirm it.
    """
    return Incident(
        dataset=record.dataset,
        partition_key=record.partition_key,
        first_alarm=first_alarm,
        action=action,
        severity=record.severity,
        kinds=tuple(record.kinds),
        cause=_cause(record),
        consequence=_consequence(record),
        next_step=_next_step(record, action),
        model_version=record.model_version,
    )


def what_drifted(record: DriftRecord) -> str:
    """Return the kinds of drift, on how many nights, and the columns that matter most."""
    nights = f"{record.n_alarm_nights} night{'s' * (record.n_alarm_nights != 1)}"
    kinds = f"{', '.join(record.kinds)} drift" if record.kinds else "drift"
    names = _columns(record)
    return f"{kinds} on {nights}{f' (most: {names})' if names else ''}"


def _columns(record: DriftRecord) -> str:
    return _named(drifted_columns(record))


def _named(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))[:_N_NAMED]
    return ", ".join(printable(_cut(name, _MAX_NAME_CHARS)) for name in distinct)


def _cause(record: DriftRecord) -> str:
    if not record.bugs:
        text = what_drifted(record)
        return f"{text[0].upper()}{text[1:]}."
    told = " ".join(bug.explanation for bug in record.bugs[:_N_NAMED])
    rest = len(record.bugs) - _N_NAMED
    more = f" And {rest} more columns." if rest > 0 else ""
    return printable(_cut(told, _MAX_SENTENCE_CHARS)) + more


def _consequence(record: DriftRecord) -> str:
    concept, estimate = record.concept, record.estimate
    if concept is not None and concept.is_drifted:
        return (
            f"The {metric_name(concept.metric)} of {concept.first_partition} to {concept.last_partition} is "
            f"{concept.value:.3f}, where {concept.reference_value:.3f} was promised."
        )
    if estimate is not None and estimate.is_worse:
        return (
            f"The {metric_name(estimate.metric)} is expected to be {_interval(estimate)}, where "
            f"{estimate.reference_value:.3f} was promised; the labels are not in yet."
        )
    if record.refit is not None and record.refit.is_worth_it:
        refit = record.refit
        return (
            f"A model that knows the latest days does better: {metric_name(refit.metric)} "
            f"{refit.refit_value:.3f} instead of {refit.champion_value:.3f} on "
            f"{refit.first_partition} to {refit.last_partition}."
        )
    if estimate is None:
        return "What it costs the model is not known before its labels are in."
    promised = f"promised {estimate.reference_value:.3f}"
    return f"None is expected: {metric_name(estimate.metric)} {_interval(estimate)}, {promised}."


def _interval(estimate: PerformanceEstimate) -> str:
    return f"{estimate.value:.3f} ({estimate.lower:.3f} to {estimate.upper:.3f})"


def _next_step(record: DriftRecord, action: Action) -> str:
    dataset, night = record.dataset, record.partition_key
    if action == "record":
        return "Nothing: it is kept on record, and told of once it costs the model something."
    if action == "retrain":
        return (
            "A retraining is asked for, within the cooldown and the budget; its challenger has to pass the "
            f"gates. `holdfast episodes show {dataset}` says how far it is."
        )
    names = _named(bug.column for bug in record.bugs) or _columns(record) or "the columns that drifted"
    return (
        f"Look at {names} of {night}: mend the source and ingest the night again, or repair its rows "
        f"(`holdfast quarantine show {dataset} {night}`). Nothing is retrained meanwhile; once it is mended, "
        f"`holdfast episodes close {dataset} --reason ...` ends the episode before it ends by itself."
    )


def _cut(text: str, n_chars: int) -> str:
    return text if len(text) <= n_chars else f"{text[: n_chars - 1]}…"
