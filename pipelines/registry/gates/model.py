"""Gates on the model by itself: it runs, it knows something, it means what it says, and is fair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.config import PromotionConfig, Task
from pipelines.metrics import Calibration, GroupGap, primary_metric
from pipelines.records import GateResult
from pipelines.registry.gates.words import named


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


class CleanLoad(NamedTuple):
    """What a fresh interpreter took to open the model and score its golden rows; nan where it failed."""

    seconds: float
    megabytes: float
    problem: str | None = None


def load_limits(config: PromotionConfig) -> dict[str, float | None]:
    """Return the budgets of a clean process, by unit."""
    return {"seconds": config.max_load_seconds, "megabytes": config.max_load_megabytes}


def loads_in_clean_process(load: CleanLoad | None, *, config: PromotionConfig) -> GateResult:
    """Ask that a process that knows nothing of the training opens the model, in time and memory.

    Parameters
    ----------
    load : CleanLoad, optional
        None where it was not asked for: neither of the budgets is set.
    """
    limits = load_limits(config)
    asked = [f"{limit:g} {'s' if unit == 'seconds' else 'MB'}" for unit, limit in limits.items() if limit]
    details = {"limits": limits, "load": None if load is None else load._asdict()}
    if load is None:
        return GateResult(
            name="loads_in_clean_process",
            is_passed=not asked,
            observed="not asked for",
            required=f"within {' and '.join(asked)}" if asked else "nothing",
            details=details,
        )
    within = all(limit is None or getattr(load, unit) <= limit for unit, limit in limits.items())
    return GateResult(
        name="loads_in_clean_process",
        is_passed=load.problem is None and within,
        observed=load.problem or f"{load.seconds:.1f} s, {load.megabytes:,.0f} MB",
        required=f"within {' and '.join(asked)}",
        details=details,
    )


def beats_naive_baseline(
    value: float, naive: Mapping[str, float], *, task: Task, min_gain: float
) -> GateResult:
    """Ask that the model is better than what anybody would say: the mean, and the last time.

    Parameters
    ----------
    value : float
        The primary metric of the challenger on the holdout.
    naive : mapping of str to float
        That of each baseline on the same rows, by what it says, in words.
    min_gain : float
        For ``auc`` the difference asked for; for ``rmse`` and ``log_loss`` the share of the naive error to be
        saved.
    """
    metric = primary_metric(task)
    unit = "" if metric.greater_is_better else " of the naive error"
    gains = {what: _gain(value, theirs, task) for what, theirs in naive.items()}
    # A gain that is not a number is the least of all.
    hardest = min(gains, key=lambda what: -math.inf if math.isnan(gains[what]) else gains[what])
    return GateResult(
        name="beats_naive_baseline",
        # The comparison is also false for nan.
        is_passed=gains[hardest] >= min_gain,
        observed=(
            f"{metric.name} {value:.4g} against {naive[hardest]:.4g} of {hardest}: gain "
            f"{gains[hardest]:.4g}{unit}"
        ),
        required=f"a gain of at least {min_gain:g}{unit} over each of {len(naive)} baselines",
        details={"metric": metric.name, "value": value, "naive": dict(naive), "gain": gains[hardest]},
    )


def _gain(value: float, naive: float, task: Task) -> float:
    if primary_metric(task).greater_is_better:
        return value - naive
    return 1 - value / naive if naive > 0 else math.nan


def calibrated(
    ours: Calibration, theirs: Calibration | None, *, scale: float, config: PromotionConfig
) -> GateResult:
    """Ask that predictions mean what they say, as far as luck in the days lets one tell.

    Refused is what is beyond doubt farther off than the limit, and farther than the champion on the same
    rows: in a world that has just moved, a challenger that is less far off is still the better one.

    Parameters
    ----------
    scale : float
        1, or the standard deviation of a regression's target: the unit of the limit.
    """
    limit = config.max_calibration_error * scale
    error = ours.error
    # Of one unit there is no interval: then the value itself has to do.
    least = error.value if math.isnan(error.lower) else error.lower
    is_no_worse = theirs is not None and error.value <= theirs.error.value
    champion = "" if theirs is None else f", the champion's {theirs.error.value:.3g}"
    return GateResult(
        name="calibrated",
        is_passed=least <= limit or is_no_worse,
        observed=(
            f"error {error.value:.3g} [{error.lower:.3g}, {error.upper:.3g}]{champion}; "
            f"slope {ours.slope.value:.3g} [{ours.slope.lower:.3g}, {ours.slope.upper:.3g}]"
        ),
        required=f"not beyond doubt above {limit:.3g}, or no worse than the champion",
        details={
            "limit": limit,
            "challenger": _described(ours),
            "champion": None if theirs is None else _described(theirs),
        },
    )


def _described(found: Calibration) -> dict[str, object]:
    return {
        name: part._asdict() if hasattr(part, "_asdict") else part for name, part in found._asdict().items()
    }


def fairness_gap(
    gaps: Sequence[GroupGap], protected: Sequence[str], *, config: PromotionConfig
) -> GateResult:
    """Ask that no two groups of a protected column are, beyond doubt, farther apart than the limit.

    Parameters
    ----------
    gaps : sequence of GroupGap
        Of the protected columns.
    protected : sequence of str
        The columns of ``evaluation.protected``.
    """
    limit = config.max_fairness_gap
    unmeasured = [name for name in protected if name not in {gap.column for gap in gaps}]
    wide = [gap for gap in gaps if _surely(gap) > limit]
    shown = max(wide or gaps, key=_surely, default=None)
    parts = [
        *([_told(shown)] if shown else []),
        *([f"{len(wide) - 1} more above the limit"] if len(wide) > 1 else []),
        *([f"too few rows by group in {named(unmeasured)}"] if unmeasured else []),
    ]
    return GateResult(
        name="fairness_gap",
        is_passed=not wide,
        observed="; ".join(parts) or "no column is declared in evaluation.protected",
        required=f"no gap beyond doubt above {limit:g} between groups of a protected column",
        details={"gaps": [gap._asdict() | {"gap": gap.gap._asdict()} for gap in gaps], "limit": limit},
    )


def _surely(gap: GroupGap) -> float:
    return gap.gap.value if math.isnan(gap.gap.lower) else gap.gap.lower


def _told(gap: GroupGap) -> str:
    found = gap.gap
    return (
        f"{gap.column}: {gap.measure} {found.value:.3g} [{found.lower:.3g}, {found.upper:.3g}] between "
        f"{gap.lowest} and {gap.highest}"
    )
