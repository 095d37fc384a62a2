"""Probabilities held to what happened, on rows of their own.

Neither the weights nor the choice of a model has seen the rows that calibrate it: they are the newest of
the validation days. What is fitted is monotone, so that a binary model ranks rows as before.

A model that was fitted to a log-loss is mostly calibrated as it comes, and days differ by more than their
rows: corrected by the level of a few days, it is wrong on the next ones. So a calibration has to prove
itself first, on days that it was not fitted to.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from scipy.stats import t as student

from pipelines.bundle.description import Calibration
from pipelines.config import DatasetConfig
from pipelines.records import CalibrationTried
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.candidates.fitted import FittedCandidate, Floats
from pipelines.training.row_split import N_UNITS, row_units

# Below, the noise of the rows is more than what is to be mended.
MIN_ROWS = 500
_MIN_ROWS_A_CLASS = 25
# The newest third of the validation days (or of the validating keys where a table has no time), but three
# days at least, and as many left to stop and choose by.
_ONE_IN = 3
_MIN_DAYS = 3
_MAX_GROUPS = 10
_CONFIDENCE = 0.975
# How much rows of one day are alike: 0.03 to 0.1 was measured on the residuals of flights.
_LIKENESS = 0.1
# What is believed beforehand of the slope's logarithm and of the intercepts, as a standard deviation.
_PRIOR_DEVIATION = 0.5

Integers = npt.NDArray[np.int64]


def calibration_slice(valid: pa.Table, *, config: DatasetConfig) -> tuple[pa.Table, pa.Table]:
    """Split validation rows into those to stop and choose by, and those to calibrate on.

    Parameters
    ----------
    valid : pyarrow.Table
        With ``row_id`` and ``partition_key``.

    Returns
    -------
    tuple of pyarrow.Table
        The second is empty where there is nothing to calibrate (a regression), or too little to do it on:
        fewer than six validation days, or than 500 rows.
    """
    if config.task == "regression" or not valid.num_rows:
        return valid, valid.slice(0, 0)
    is_newest = _is_newest(valid, config)
    rest, newest = valid.filter(pc.invert(is_newest)), valid.filter(is_newest)
    if not rest.num_rows or not _is_enough(newest[config.target].to_numpy()):
        return valid, valid.slice(0, 0)
    return rest, newest


def calibrate(candidate: FittedCandidate, rows: pa.Table, *, config: DatasetConfig) -> FittedCandidate:
    """Return the candidate with calibrated probabilities where that proves to be better, else as it is.

    Parameters
    ----------
    rows : pyarrow.Table
        ``row_id``, ``partition_key``, feature columns and target, of rows that neither training nor selection
        has seen; as :func:`calibration_slice` gives them. None at all leave the candidate as it is.

    Returns
    -------
    FittedCandidate
        Its ``calibration`` says what was tried, and what came of it.
    """
    if config.task == "regression" or not _is_enough(rows[config.target].to_numpy()):
        return candidate
    scores, happened = candidate.score(rows), rows[config.target].to_numpy().astype(np.int64)
    weights, groups = weights_and_groups(rows, config)
    trial = _try_out(scores, happened, weights, groups)
    if not trial.is_used:
        return replace(candidate, calibration=trial)
    fitted = fit_calibration(scores, happened, weights)
    return replace(apply_calibration(candidate, fitted), calibration=trial)


def apply_calibration(candidate: FittedCandidate, calibration: Calibration) -> FittedCandidate:
    """Return the candidate with a calibration, in its description and in what it predicts."""

    def score(table: pa.Table) -> Floats:
        return _moved(candidate.score(table), calibration)

    def predict(table: pa.Table) -> Floats:
        return _chances(score(table))

    description = candidate.description.model_copy(update={"calibration": calibration})
    return replace(candidate, description=description, predict=predict, score=score)


def fit_calibration(scores: Floats, happened: Integers, weights: Floats) -> Calibration:
    """Fit a slope and intercepts to scores by the likelihood of what happened, and a prior of no change.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,) or (n, K)
        Log-odds, or what the softmax is taken of.
    happened : ndarray of int64, shape (n,)
        Class numbers.
    weights : ndarray of float64, shape (n,)
        How many independent rows each stands for; at most 1.

    Notes
    -----
    Platt's scaling [1]_, with the slope held above zero; of several classes temperature scaling with an
    intercept for each class [2]_. The prior keeps a few days from bending what many have taught.

    References
    ----------
    .. [1] Platt, Probabilistic outputs for support vector machines, 1999.
    .. [2] Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    is_class = happened == 1 if scores.ndim == 1 else happened[:, None] == np.arange(scores.shape[1])
    n_outputs, precision = scores.size // len(scores), _PRIOR_DEVIATION**-2

    def cost(point: Floats) -> tuple[float, Floats]:
        sloped = math.exp(point[0]) * scores
        moved = sloped + (point[1] if scores.ndim == 1 else point[1:])
        excess = ((_chances(moved) - is_class).T * weights).T
        gradient = np.append((excess * sloped).sum(), excess.sum(axis=0)) + precision * point
        loss = float((weights * _losses(moved, happened)).sum() + precision * (point**2).sum() / 2)
        return loss, gradient

    found = minimize(cost, np.zeros(1 + n_outputs), jac=True, method="L-BFGS-B").x
    return Calibration(slope=math.exp(found[0]), intercepts=tuple(float(value) for value in found[1:]))


def _try_out(scores: Floats, happened: Integers, weights: Floats, groups: Integers) -> CalibrationTried:
    """Fit to all groups but one, and measure what that gains on the one; in turn for each."""
    gains = []
    numbers = np.unique(groups)
    for number in numbers:
        out, rest = groups == number, groups != number
        fitted = fit_calibration(scores[rest], happened[rest], weights[rest])
        before = _losses(scores[out], happened[out]).mean()
        gains.append(before - _losses(_moved(scores[out], fitted), happened[out]).mean())
    gain, error = float(np.mean(gains)), float(np.std(gains, ddof=1) / math.sqrt(numbers.size))
    needed = float(student.ppf(_CONFIDENCE, numbers.size - 1)) * error
    return CalibrationTried(
        n_rows=int(happened.size),
        n_groups=int(numbers.size),
        log_loss_gain=gain,
        gain_needed=needed,
        is_used=gain > needed,
    )


def _moved(scores: Floats, fitted: Calibration) -> Floats:
    shift = fitted.intercepts[0] if scores.ndim == 1 else np.array(fitted.intercepts)
    return np.asarray(fitted.slope * scores + shift)


def _chances(scores: Floats) -> Floats:
    return np.asarray(expit(scores) if scores.ndim == 1 else softmax(scores, axis=1))


def _losses(scores: Floats, happened: Integers) -> Floats:
    """Return each row's log-loss."""
    if scores.ndim == 1:
        return np.asarray(np.logaddexp(0.0, scores) - happened * scores)
    return np.asarray(-log_softmax(scores, axis=1)[np.arange(len(scores)), happened])


def _is_newest(valid: pa.Table, config: DatasetConfig) -> pa.Array | pa.ChunkedArray:
    if config.training.split == "rows":
        return pa.array(row_units(valid[ROW_KEY]) < N_UNITS // _ONE_IN)
    days = sorted(pc.unique(valid[PARTITION_COLUMN]).to_pylist())
    n_newest = max(_MIN_DAYS, len(days) // _ONE_IN) if len(days) >= 2 * _MIN_DAYS else 0
    return pc.is_in(valid[PARTITION_COLUMN], pa.array(days[len(days) - n_newest :], pa.string()))


def _is_enough(happened: Floats) -> bool:
    if happened.size < MIN_ROWS:
        return False
    counts = np.bincount(happened.astype(np.int64))
    return int((counts >= _MIN_ROWS_A_CLASS).sum()) >= 2


def _units(rows: pa.Table, config: DatasetConfig) -> Integers:
    """Return what each row is drawn with: the number of its day, or of its key's unit; from 0, all there."""
    of_rows = (
        row_units(rows[ROW_KEY])
        if config.training.split == "rows"
        else rows[PARTITION_COLUMN].to_numpy().astype(str)
    )
    return np.asarray(np.unique(of_rows, return_inverse=True)[1], dtype=np.int64)


def weights_and_groups(rows: pa.Table, config: DatasetConfig) -> tuple[Floats, Integers]:
    """Return how many independent rows each row stands for, and at most ten groups of neighbouring units."""
    units = _units(rows, config)
    sizes = np.bincount(units)
    likeness = 0.0 if config.training.split == "rows" else _LIKENESS
    weights = 1 / (1 + (sizes[units] - 1) * likeness)
    return weights, units * min(_MAX_GROUPS, sizes.size) // sizes.size
