"""Gates on the challenger beside the champion, on the same rows: better or as good, in no group worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.config import PromotionConfig
from pipelines.metrics import PairedGain
from pipelines.records import GateResult
from pipelines.registry.gates.words import named

# How sure the interval is that a person reads; the decision is by the p-value.
_SHOWN_CONFIDENCE = 0.9
# How fast the shares of the risk fall from challenger to challenger, and what they add up to: zeta(2.5).
_SHARES_FALL, _SUM_OF_SHARES = 2.5, 1.34148726


class Comparison(NamedTuple):
    """A challenger beside the champion on the same rows.

    ``gain`` is in the primary metric ``metric``, positive where the challenger is better; ``lead`` is how
    much the champion is better than the best naive baseline, nan or negative where it is not; ``slices``
    holds the gain in each group of rows, by its name. ``training_error`` is by how much two models of the
    challenger's recipe surely differ beyond what days explain, as a standard error; 0 where they don't.
    """

    champion: str
    metric: str
    gain: PairedGain
    lead: float = math.nan
    slices: Mapping[str, PairedGain] = {}
    unit: str = "days"
    training_error: float = 0.0


def share_of_risk(n_before: int, config: PromotionConfig) -> float:
    """Return how likely luck may be to pass the next challenger, after ``n_before`` on the same days.

    The first gets three quarters of ``1 - confidence``, the k-th that divided by k to the power of 2.5: all
    together, however many there are, no more than ``1 - confidence``. One that passes gives back what it was
    given.

    References
    ----------
    .. [1] Foster & Stine, Alpha-investing, J. Royal Statistical Society B 70(2), 2008.
    """
    return (1 - config.confidence) / _SUM_OF_SHARES / math.pow(n_before + 1, _SHARES_FALL)


def required_gain(comparison: Comparison, config: PromotionConfig) -> float:
    """Return what the true gain must surely exceed, in the metric's unit; below zero it may be a loss."""
    if config.mode == "non_inferior":
        return -config.margin
    lead = comparison.lead if comparison.lead > 0 else 0.0
    return max(config.min_gain, config.min_gain_fraction * lead)


def beats_champion(
    comparison: Comparison | None, *, config: PromotionConfig, n_before: int = 0
) -> GateResult:
    """Ask that the challenger is better than the champion on the same rows (or no worse), by more than luck.

    To be better, it has to be so beyond luck of the days, by what is required, and beyond luck of training:
    by more than models of its own recipe may differ, where days don't explain how they do.

    Parameters
    ----------
    comparison : Comparison, optional
        Over the days of the challenger's holdout; None where there is no champion yet.
    n_before : int
        How many challengers were no better than this champion on some of these days: see
        :func:`share_of_risk`.
    """
    risk = share_of_risk(n_before, config)
    if comparison is None:
        required = "better than the champion" if config.mode == "superior" else "no worse than the champion"
        return GateResult(
            name="beats_champion", is_passed=True, observed="no champion yet", required=required
        )
    gain, least = comparison.gain, required_gain(comparison, config)
    of_days, of_training = gain.p_better(least), _luck_of_training(comparison, config)
    lower, upper = gain.interval(_SHOWN_CONFIDENCE)
    what = f"a true gain above {least:.2g}" if least >= 0 else f"a true loss below {-least:.2g}"
    also = "" if of_training is None else f", and p {of_training:.2g} that it is luck of training"
    return GateResult(
        name="beats_champion",
        is_passed=max(of_days, of_training or 0.0) <= risk,
        observed=(
            f"{comparison.metric} gain over v{comparison.champion} {gain.gain:+.4g} "
            f"[{lower:+.4g}, {upper:+.4g}], p {of_days:.2g} over {gain.n_units} {comparison.unit}{also}"
        ),
        required=f"{what}, at a risk of at most {risk:.2g} that it is luck",
        details={
            "mode": config.mode,
            "required_gain": least,
            "risk": risk,
            "p_value": of_days,
            "lower": lower,
            "upper": upper,
            "training_error": comparison.training_error,
            "p_training": of_training,
            **gain._asdict(),
        },
    )


def _luck_of_training(comparison: Comparison, config: PromotionConfig) -> float | None:
    """Return how likely two models of one recipe differ by the gain; None where it is not asked for."""
    if config.mode == "non_inferior" or not comparison.training_error:
        return None
    return comparison.gain.widened(comparison.training_error).p_better()


def no_slice_worse(comparison: Comparison | None, *, config: PromotionConfig) -> GateResult:
    """Ask that there is no group of rows in which the challenger is worse by more than luck.

    With many groups some look worse by luck alone: the p-values are corrected for their number by Holm's
    step-down method, whose first step decides. In either mode a loss within ``margin`` is none.
    """
    required = f"worse in no group, at a risk of {1 - config.confidence:.2g} over all of them"
    slices = comparison.slices if comparison else {}
    measured = {name: gain for name, gain in slices.items() if math.isfinite(gain.gain)}
    if comparison is None or not measured:
        reason = "no champion yet" if comparison is None else "no group has rows enough to be compared"
        return GateResult(name="no_slice_worse", is_passed=True, observed=reason, required=required)
    p_values = {
        name: min(1.0, gain.p_worse(config.margin) * len(measured)) for name, gain in measured.items()
    }
    worse = sorted(
        (name for name in measured if p_values[name] <= 1 - config.confidence), key=p_values.__getitem__
    )
    worst = min(measured, key=lambda name: (p_values[name], measured[name].gain))
    told = f"{worst} {measured[worst].gain:+.4g} (p {p_values[worst]:.2g})"
    return GateResult(
        name="no_slice_worse",
        is_passed=not worse,
        observed=f"worse: {named(worse)}; the surest: {told}"
        if worse
        else f"worse in none of {len(measured)} groups; the nearest to it: {told}",
        required=required,
        details={
            "worse": worse,
            "slices": {
                name: {"gain": gain.gain, "standard_error": gain.standard_error, "p_value": p_values[name]}
                for name, gain in measured.items()
            },
        },
    )
