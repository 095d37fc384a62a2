"""A verdict in a sentence, the same in logs, on the command line and in messages."""

from __future__ import annotations

from pipelines.metrics import metric_name
from pipelines.records import DriftRecord, RefitProbe

_N_NAMED = 3
_ACTIONS = {
    "none": "nothing to do yet",
    "record": "put on record, since no loss of performance is known or expected",
    "retrain": "worth a retraining",
    "investigate": "looks like a fault of the data: a person has to look at it",
}


def verdict_sentence(record: DriftRecord) -> str:
    """Return what a night was found to be, and what is to be done.

    Examples
    --------
    >>> from pipelines.records import DriftRecord, RefitProbe
    >>> night = {"dataset": "flights", "partition_key": "2013-07-01", "model_version": "1"}
    >>> calm = {"window": ("2013-06-25", "2013-07-01"), "columns": (), "n_alarm_nights": 0}
    >>> verdict_sentence(DriftRecord(**night, **calm, is_alarm=False, is_confirmed=False))
    'calm.'
    """
    drifted = drifted_columns(record)
    named = f" (most: {', '.join(drifted[:_N_NAMED])})" if drifted else ""
    if not record.is_alarm:
        return f"calm{f', though {_columns(len(drifted))} moved{named}' if drifted else ''}."
    nights = "1 night" if record.n_alarm_nights == 1 else f"{record.n_alarm_nights} nights"
    state = f"confirmed on {nights}" if record.is_confirmed else "not confirmed yet"
    what = " and ".join(record.kinds) or "no"
    columns = f" in {_columns(len(drifted))}{named}" if drifted else ""
    return f"{what} drift{columns}, {record.severity}, {state}: {_ACTIONS[record.action]}."


def refit_sentence(tried: RefitProbe) -> str:
    """Return what a quick refit has shown.

    Examples
    --------
    >>> from pipelines.records import RefitProbe
    >>> when = {"first_partition": "2013-06-17", "last_partition": "2013-06-30", "n_days": 14, "n_rows": 900}
    >>> gain = {"gain": 0.12, "lower": 0.07, "upper": 0.18, "confidence": 0.95, "is_worth_it": True}
    >>> tried = RefitProbe(metric="auc", champion_value=0.66, refit_value=0.78, **gain, **when)
    >>> print(refit_sentence(tried).replace(", a", ",\\na"))
    On 2013-06-17 to 2013-06-30 the champion has AUC 0.66,
    a quick model that knows the days before 0.78: a gain of +0.12 [+0.07, +0.18]. A retraining would pay.
    """
    before, after = f"{tried.champion_value:.3g}", f"{tried.refit_value:.3g}"
    gain = f"{tried.gain:+.2g} [{tried.lower:+.2g}, {tried.upper:+.2g}]"
    return (
        f"On {tried.first_partition} to {tried.last_partition} the champion has "
        f"{metric_name(tried.metric)} {before}, a quick model that knows the days before "
        f"{after}: a gain of {gain}. "
        + ("A retraining would pay." if tried.is_worth_it else "That is no reason to retrain.")
    )


def drifted_columns(record: DriftRecord) -> list[str]:
    """Return the columns that drifted, by what they matter to the model and then by their distance."""
    ranked = sorted(
        (column for column in record.columns if column.is_drifted),
        key=lambda column: (column.impact, column.distance / max(column.threshold, 1e-9)),
        reverse=True,
    )
    return list(dict.fromkeys(column.column for column in ranked))


def _columns(n: int) -> str:
    return "1 column" if n == 1 else f"{n} columns"
