"""Evidence that may be looked at every night: whether one model is worse than another, beyond doubt.

A test that is repeated each night finds something sooner or later. The evidence here is an *e-value*: as a
function of the nights it is a fair bet against "not worse", whose capital exceeds ``1 / alpha`` with
probability of at most ``alpha``, ever, however often somebody looks.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

# So many nights' worth the assumed spread counts beside the one that is seen.
_PRIOR_NIGHTS = 2.0
# The loss that is bet on, in standard deviations of a night's difference.
_BET = 2.0


def worse_evidence(
    gains: npt.ArrayLike,
    variances: npt.ArrayLike,
    *,
    bet: float = _BET,
    prior_nights: float = _PRIOR_NIGHTS,
) -> float:
    """Return the e-value against "the mean gain is not below zero".

    Parameters
    ----------
    gains : array-like of float, shape (n,)
        One difference a night, positive where the model is better; about normal.
    variances : array-like of float, shape (n,)
        What each is taken to vary by, up to a factor that all have in common.

    Returns
    -------
    float
        At least 0; 1 without any night; inf where it exceeds all floats.

    Notes
    -----
    The ratio of two marginal likelihoods: of a mean below zero (half-normal, ``bet`` times a night's
    deviation) to a mean of zero, both integrated over the common factor: its inverse has a gamma prior of
    mean one with ``prior_nights`` degrees of freedom. A single night's difference, however large, weighs
    only as much as the tails of Student's t allow. Nights that are alike (an autocorrelation) make it too
    bold: ``benchmarks/watch.py`` measures by how much.

    References
    ----------
    .. [1] Ville, Etude critique de la notion de collectif, 1939: the inequality.
    .. [2] Rouder et al., Psychonomic Bulletin & Review 16(2), 2009: Bayes factors for t-tests.
    .. [3] Ramdas et al., Statistical Science 38(4), 2023: e-values and safe anytime-valid inference.
    """
    gain, variance = np.asarray(gains, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if not gain.size:
        return 1.0
    weight = 1 / variance
    total = float(weight.sum())
    mean = float((weight * gain).sum()) / total
    freedom = prior_nights + gain.size
    around_mean = prior_nights + float((weight * (gain - mean) ** 2).sum())
    # The share of the mean that is kept where the bet's own spread is put beside the nights'.
    kept = 1 / (1 + bet**2 * gain.size)
    around_zero, around_bet = around_mean + total * mean**2, around_mean + kept * total * mean**2
    deviation = math.sqrt((1 - kept) / total * around_bet / freedom)
    below = 2 * float(special.stdtr(freedom, -(1 - kept) * mean / deviation))
    log_ratio = 0.5 * math.log(kept) + 0.5 * freedom * math.log(around_zero / around_bet)
    return below * math.exp(log_ratio) if log_ratio < 700 else math.inf
