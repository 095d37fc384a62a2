"""The gates between a challenger and the champion's place.

Each is a pure function of what was measured. All are evaluated and shown, also after one fails; a
comparison with ``nan`` is never passed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipelines.config import PromotionConfig, Task
from pipelines.metrics import BootstrapGain, primary_metric
from pipelines.records import ChampionMove, GateResult, ValidationRecord

_MAX_NAMED = 5


def challenger_is_not_champion(model_version: str, champion: ChampionMove | None) -> GateResult:
    """Ask that the challenger is another version than the champion."""
    present = "no champion yet" if champion is None else f"the champion is v{champion.model_version}"
    return GateResult(
        name="challenger_is_not_champion",
        is_passed=champion is None or champion.model_version != model_version,
        observed=f"v{model_version}; {present}",
        required="another version than the champion",
    )


def not_rolled_back(model_version: str, moves: Sequence[ChampionMove]) -> GateResult:
    """Ask that nobody has taken this very version out of the champion's place.

    A person who rolls back knows something that the holdout does not. Only a person brings such a
    version back: by a rollback that names it.

    Parameters
    ----------
    moves : sequence of ChampionMove
        The champion's history, oldest first.
    """
    about = [move for move in moves if model_version in (move.model_version, move.previous_version)]
    last = about[-1] if about else None
    withdrawn = last is not None and last.action == "rollback" and last.previous_version == model_version
    return GateResult(
        name="not_rolled_back",
        is_passed=not withdrawn,
        observed=f"rolled back by {last.actor}: {last.reason}"
        if withdrawn and last
        else "never, or brought back",
        required="not taken back by a person",
    )


def data_validated(
    days: Mapping[str, str], records: Mapping[str, ValidationRecord], *, problem: str | None = None
) -> GateResult:
    """Ask that every day the model learned from is on record as validated, and not refused since.

    Parameters
    ----------
    days : mapping of str to str
        The digest of the rows of each day of the snapshot, by partition key.
    records : mapping of str to ValidationRecord
        The latest verdict on each partition.
    problem : str, optional
        Why ``days`` can't be relied on: the snapshot's lineage is missing, or not what was recorded.
    """
    missing = sorted(key for key in days if key not in records)
    refused = sorted(key for key in days if key in records and records[key].outcome == "refused")
    restated = sorted(
        key for key in days if key in records and records[key].validated_digest not in (days[key], None)
    )
    faults = [
        *([problem] if problem else []),
        *([] if days else ["no day is on record"]),
        *([f"never validated: {_named(missing)}"] if missing else []),
        *([f"refused since: {_named(refused)}"] if refused else []),
    ]
    return GateResult(
        name="data_validated",
        is_passed=not faults,
        observed="; ".join(faults) or f"{len(days)} days, all validated",
        required="every day of the snapshot validated, none refused since",
        # Later corrections do not undo a training, but a person may want to know.
        details={"n_days": len(days), "restated_since": restated},
    )


def no_look_ahead(changed: Sequence[str], days: Sequence[str]) -> GateResult:
    """Ask that no feature changed when the history after its day was cut off.

    Parameters
    ----------
    changed : sequence of str
        The columns that did.
    days : sequence of str
        The partitions that the check chose from; without any, nothing is shown.
    """
    observed = f"changed: {_named(changed)}" if changed else "no column changed"
    return GateResult(
        name="no_look_ahead",
        is_passed=bool(days) and not changed,
        observed=observed if days else "no day to check on",
        required="no feature changes when later history is cut off",
        details={"columns": list(changed), "days": list(days)},
    )


def golden_rows(problem: str | None, *, device: str) -> GateResult:
    """Ask that the scorer gives what the training library computed for the bundle's golden rows.

    Parameters
    ----------
    problem : str, optional
        What the scorer had to say when it did not.
    device : str
        Where it was tried.
    """
    return GateResult(
        name="golden_rows",
        is_passed=problem is None,
        observed=problem or f"repeated on {device}",
        required="the scorer repeats the training library's predictions",
        details={"device": device},
    )


def beats_naive_baseline(value: float, naive: float, *, task: Task, min_gain: float) -> GateResult:
    """Ask that the model is better than one that knows nothing but the training target's mean.

    Parameters
    ----------
    value, naive : float
        The primary metric of the challenger and of the naive model, on the holdout.
    min_gain : float
        For ``auc`` the difference asked for; for ``rmse`` and ``log_loss`` the share of the naive error to be
        saved.
    """
    metric = primary_metric(task)
    if metric.greater_is_better:
        gain, unit = value - naive, ""
    else:
        gain, unit = (1 - value / naive if naive > 0 else math.nan), " of the naive error"
    return GateResult(
        name="beats_naive_baseline",
        is_passed=gain >= min_gain,
        observed=f"{metric.name} {value:.4g} against {naive:.4g}: gain {gain:.4g}{unit}",
        required=f"a gain of at least {min_gain:g}{unit}",
        details={"metric": metric.name, "value": value, "naive": naive, "gain": gain},
    )


def beats_champion(
    gain: BootstrapGain | None,
    *,
    champion: str | None,
    task: Task,
    config: PromotionConfig,
    unit: str = "days",
) -> GateResult:
    """Ask that the challenger is better than the champion on the same rows, by more than luck.

    Parameters
    ----------
    gain : BootstrapGain, optional
        Over the days of the challenger's holdout; None where there is no champion yet.
    champion : str, optional
        The champion's version.
    unit : str
        What was resampled, in words.
    """
    of_unit = "" if unit == "days" else f" of {unit}"
    required = (
        f"a mean gain of at least {config.min_gain:g}, "
        f"better in at least {config.confidence:.0%} of the resamples{of_unit}"
    )
    if gain is None:
        return GateResult(
            name="beats_champion", is_passed=True, observed="no champion yet", required=required
        )
    metric = primary_metric(task).name
    return GateResult(
        name="beats_champion",
        is_passed=gain.mean >= config.min_gain and gain.probability >= config.confidence,
        observed=(
            f"{metric} gain over v{champion} {gain.mean:+.4g} [{gain.lower:+.4g}, {gain.upper:+.4g}], "
            f"better in {gain.probability:.1%}"
        ),
        required=required,
        details=gain._asdict(),
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
