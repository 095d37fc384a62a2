"""What a challenger must show: `promotion` of a dataset in ``params.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from pipelines.config.base import Closed, Fraction


class PromotionConfig(Closed):
    """What a challenger must show, and whether a person has the last word.

    ``mode: superior`` asks that the challenger is better than the champion by more than ``min_gain`` (in the
    primary metric's unit) and by more than ``min_gain_fraction`` of the champion's lead over the naive
    baseline; ``non_inferior`` that it is not worse by ``margin`` or more (in that unit). Either is to be as
    sure as ``confidence`` says, over all the challengers together that were judged on the same days.

    Parameters
    ----------
    shadow_nights : int
        So many nights a challenger scores in the champion's shadow before its gates; 0: none.
    shadow_confidence : float
        How sure the labels of those nights are to be that it is better, or no worse, as ``mode`` says; 0.5:
        it did better on them. That it is no luck, it has shown on more days of the holdout.
    watch_nights : int
        So many nights after a promotion the champion before goes on scoring in the shadow; 0: none.
    watch_confidence : float
        A new champion that is no worse is taken back with at most the rest of this as probability.
    watch_margin : float
        By how much, in units of the metric, a new champion may be worse and stay.
    """

    approval: Literal["auto", "human"] = "auto"
    mode: Literal["superior", "non_inferior"] = "superior"
    min_gain: float = 0.0
    min_gain_fraction: Fraction = 0.0125
    margin: NonNegativeFloat = 0.0
    confidence: Fraction = 0.95
    # How many challengers may be held to one champion on the same days; then newer days are needed.
    max_challengers: int = Field(default=20, ge=1)
    min_baseline_gain: float = 0.02
    # The expected calibration error: of a probability, or in standard deviations of a regression's target.
    max_calibration_error: NonNegativeFloat = 0.1
    # Between groups of a column of `evaluation.protected`: in the primary metric, and in bias.
    max_fairness_gap: NonNegativeFloat = 0.1
    # The share of labels of one row that may have changed since a model learned from it.
    max_relabelled_fraction: Fraction = 0.05
    # How much more of the surest rows may contradict their labels than in the champion's training.
    max_flipped_fraction: Fraction = 0.05
    # What a clean process may take to open the model and score its golden rows; null: not asked for.
    max_load_seconds: PositiveFloat | None = 120.0
    max_load_megabytes: PositiveFloat | None = 4096.0
    approval_timeout_hours: float = Field(default=72.0, gt=0)
    shadow_nights: int = Field(default=0, ge=0, le=90)
    shadow_confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.5
    watch_nights: int = Field(default=14, ge=0, le=366)
    watch_confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.97
    watch_margin: float = Field(default=0.0, ge=0.0)
