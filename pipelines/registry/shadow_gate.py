"""The gate of a challenger that scored in the champion's shadow: live rows, live labels."""

from __future__ import annotations

from pipelines.config import PromotionConfig, Task
from pipelines.metrics import PairedGain, primary_metric
from pipelines.records import GateResult, ShadowState
from pipelines.registry.gates import Comparison, required_gain

NAME = "better_in_shadow"
# As for the holdout: what a person reads; the decision is by the p-value.
_SHOWN_CONFIDENCE = 0.9


def better_in_shadow(
    state: ShadowState,
    gain: PairedGain | None,
    *,
    task: Task,
    config: PromotionConfig,
    unit: str = "days",
) -> GateResult:
    """Ask that the challenger is better than the champion (or no worse) on nights that both have scored.

    Few nights seldom rule out luck: that is asked of the holdout. Here a challenger must do as well on rows
    that came after it was trained, as surely as ``shadow_confidence`` says.

    Parameters
    ----------
    gain : PairedGain, optional
        Over the nights; None where too few of them have mature labels.
    unit : str
        What was resampled, in words.
    """
    details = {"nights": list(state.labelled), "is_complete": gain is not None}
    if gain is None:
        return GateResult(
            name=NAME,
            is_passed=False,
            observed=state.sentence,
            required=f"{state.n_nights} nights in the champion's shadow, with mature labels",
            details=details,
        )
    metric = primary_metric(task).name
    least = required_gain(Comparison(state.champion_version, metric, gain, unit=unit), config)
    p_value, risk = gain.p_better(least), 1 - config.shadow_confidence
    lower, upper = gain.interval(_SHOWN_CONFIDENCE)
    what = f"a true gain above {least:.2g}" if least >= 0 else f"a true loss below {-least:.2g}"
    return GateResult(
        name=NAME,
        is_passed=p_value <= risk,
        observed=(
            f"{metric} gain over v{state.champion_version} {gain.gain:+.4g} [{lower:+.4g}, {upper:+.4g}], "
            f"p {p_value:.2g} over {gain.n_units} {unit} of {len(state.labelled)} nights in the shadow"
        ),
        required=f"{what} on live labels, at a risk of at most {risk:.2g} that it is luck",
        details={
            **details,
            "required_gain": least,
            "risk": risk,
            "p_value": p_value,
            "lower": lower,
            "upper": upper,
            **gain._asdict(),
        },
    )
