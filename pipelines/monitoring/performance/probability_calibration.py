"""Probabilities that mean what they say: a model's own, set right on rows that it has not been trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.metrics.quality import Floats

_SMALLEST = 1e-6
# How many rows the belief is worth that the model's own probabilities are right as they are.
_PRIOR_ROWS = 10.0


@dataclass(frozen=True)
class ProbabilityCalibration:
    """Probabilities made sharper or duller, and classes more or less frequent.

    The calibrated probability of class ``k`` goes with ``exp(slope * log p_k + offsets[k])``; of two classes
    that is Platt's scaling of the log odds.

    References
    ----------
    .. [1] Platt, Advances in Large Margin Classifiers, 1999.
    .. [2] Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (vector scaling).
    """

    slope: float
    offsets: Floats

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities of the classes, shape (n, K), for the model's own."""
        return _softmax(self.slope * _logs(probabilities) + self.offsets)


def fit_calibration(probabilities: Floats, classes: Floats) -> ProbabilityCalibration:
    """Return the calibration that makes what happened likeliest, held towards leaving all as it is.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n, K)
        The model's own.
    classes : ndarray of float64, shape (n,)
        The number of the class of each row.
    """
    from scipy.optimize import minimize

    logs, n_classes = _logs(probabilities), probabilities.shape[1]
    happened = classes[:, None] == np.arange(n_classes)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, offsets = parameters[0], parameters[1:]
        chance = _softmax(slope * logs + offsets)
        given = np.clip(chance[happened], 1e-300, None)
        prior = 0.5 * _PRIOR_ROWS * ((slope - 1) ** 2 + (offsets**2).sum())
        wrong = chance - happened
        slopes = (wrong * logs).sum() + _PRIOR_ROWS * (slope - 1)
        return float(prior - np.log(given).sum()), np.append(
            slopes, wrong.sum(axis=0) + _PRIOR_ROWS * offsets
        )

    found = minimize(loss, np.append(1.0, np.zeros(n_classes)), jac=True, method="L-BFGS-B")
    return ProbabilityCalibration(slope=float(found.x[0]), offsets=np.asarray(found.x[1:], dtype=np.float64))


def _logs(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities, _SMALLEST, 1.0)))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
