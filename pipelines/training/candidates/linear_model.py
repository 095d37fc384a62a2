"""Candidate ``linear_model``: logistic, multinomial or ridge regression by scikit-learn."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sklearn
from scipy import sparse
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from pipelines.bundle.description import BundleDescription, LinearArchitecture, TrainingNotes
from pipelines.config import DatasetConfig, Task
from pipelines.errors import DataError
from pipelines.features.encoding import Encoded, Encoding, encode
from pipelines.training.candidates.fitted import Examples, FitOptions, FittedCandidate, Floats

_NAME = "linear_model"
# Penalties a row, from the strongest on: each fit starts where the one before it ended.
_PENALTIES = tuple(10.0**exponent for exponent in (0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0))
# So many weaker ones are tried after the best.
_PATIENCE = 2
_MAX_STEPS = 200
_TOLERANCE = 1e-4

Array = npt.NDArray[Any]


def fit_linear_model(
    train: Examples, valid: Examples, *, config: DatasetConfig, encoding: Encoding, options: FitOptions
) -> FittedCandidate:
    """Fit with weaker and weaker penalties until the loss on ``valid`` stops falling; keep the best."""
    chosen, task = options.parameters, config.task
    design = _Design.of(
        train.encoded,
        encoding,
        limit=chosen["input_limit"],
        min_level_rows=int(chosen["min_level_rows"]),
        level_scale=chosen["level_penalty"] ** -0.5,
    )
    target = _Target.of(train.target, task)
    model, n_rounds, valid_loss = _best_on_path(design, target, train, valid, config=config, options=options)
    description = BundleDescription(
        candidate=_NAME,
        task=task,
        target=config.target,
        classes=config.classes,
        encoding=encoding,
        architecture=LinearArchitecture(input_limit=design.limit),
        training=TrainingNotes(
            library=f"scikit-learn {sklearn.__version__}",
            seed=options.seed,
            n_rows=len(train.target),
            n_valid_rows=len(valid.target),
            n_rounds=n_rounds,
            valid_loss=valid_loss,
            parameters=dict(options.changed),
        ),
    )

    def score(table: pa.Table) -> Floats:
        return _score(model, design.matrix(encode(table, encoding)), target, task)

    def predict(table: pa.Table) -> Floats:
        if task == "regression" or not table.num_rows:
            return score(table)
        chances: Floats = model.predict_proba(design.matrix(encode(table, encoding)))
        return chances if task == "multiclass" else chances[:, 1]

    return FittedCandidate(_NAME, description, _tensors(model, design, target), predict, score)


@dataclass(frozen=True)
class _Design:
    """What scikit-learn sees of encoded rows: numbers, whether each is missing, and one column a level.

    Numbers are standardised and clipped, 0 where missing. A level of few rows counts as unknown, and so
    unknown has a column with something to learn from. All columns of levels are scaled, which scales
    their penalty.
    """

    encoding: Encoding
    limit: float
    level_scale: float
    # Of each categorical column: what each of its codes becomes.
    codes: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def of(
        cls, encoded: Encoded, encoding: Encoding, *, limit: float, min_level_rows: int, level_scale: float
    ) -> _Design:
        codes = []
        for i, column in enumerate(encoding.categorical):
            counts = np.bincount(encoded.codes[:, i], minlength=column.unknown_code + 1)
            own = np.arange(column.unknown_code + 1)
            codes.append(np.where(counts >= min_level_rows, own, column.unknown_code))
        return cls(encoding, limit, level_scale, tuple(codes))

    def matrix(self, encoded: Encoded) -> Any:
        """Return the design matrix, sparse float64 (n, columns)."""
        mean = np.array([column.mean for column in self.encoding.numeric])
        std = np.array([column.std for column in self.encoding.numeric])
        is_missing = ~np.isfinite(encoded.numeric)
        with np.errstate(over="ignore"):  # a number that is too far out becomes infinite, and is clipped
            standard = (np.where(is_missing, mean, encoded.numeric) - mean) / std
        standard = np.where(is_missing, 0.0, np.clip(standard, -self.limit, self.limit))
        parts = [sparse.csr_array(standard), sparse.csr_array(is_missing.astype(np.float64))]
        parts += [self._one_hot(codes[encoded.codes[:, i]], len(codes)) for i, codes in enumerate(self.codes)]
        return sparse.hstack(parts, format="csr")

    def _one_hot(self, codes: npt.NDArray[np.int64], width: int) -> Any:
        values = np.full(codes.size, self.level_scale)
        return sparse.csr_array((values, codes, np.arange(codes.size + 1)), shape=(codes.size, width))


@dataclass(frozen=True)
class _Target:
    """How a regression's target is standardised: 0 and 1 for the tasks with classes."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def of(cls, target: Floats, task: Task) -> _Target:
        if task != "regression":
            return cls()
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(target.mean()), float(target.std())
        return cls(mean, std if std > 0 else 1.0)


def _best_on_path(
    design: _Design,
    target: _Target,
    train: Examples,
    valid: Examples,
    *,
    config: DatasetConfig,
    options: FitOptions,
) -> tuple[Any, int, float]:
    """Return the fit with the least loss on ``valid``, its number on the path, and that loss."""
    matrix, goal = _with_every_class(design.matrix(train.encoded), train.target, config)
    goal = (goal - target.mean) / target.std
    valid_matrix = design.matrix(valid.encoded)
    model = _estimator(config.task)
    best, best_round, best_loss = None, 0, math.inf
    for number, penalty in enumerate(_PENALTIES, start=1):
        # Ridge has its penalty on all rows together, the logistic kind the inverse of it.
        on_all = penalty * len(goal)
        model.set_params(**({"alpha": on_all} if config.task == "regression" else {"C": 1 / on_all}))
        with warnings.catch_warnings():
            # What has not come to rest yet is a model too: the validation rows say how good.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(matrix, goal)
        loss = _loss(_score(model, valid_matrix, target, config.task), valid.target, config.task)
        if loss < best_loss:
            best, best_round, best_loss = copy.deepcopy(model), number, loss
        options.on_round(number, loss)
        if number >= best_round + _PATIENCE and best is not None:
            break
    if best is None:
        raise DataError(f"The linear model found no finite loss on {config.target}: look for extreme values.")
    return best, best_round, best_loss


def _estimator(task: Task) -> Any:
    if task == "regression":
        return Ridge(solver="sparse_cg", tol=1e-8, max_iter=10 * _MAX_STEPS)
    return LogisticRegression(solver="lbfgs", warm_start=True, max_iter=_MAX_STEPS, tol=_TOLERANCE)


def _with_every_class(matrix: Any, target: Floats, config: DatasetConfig) -> tuple[Any, Floats]:
    """Return the rows, and one that tells nothing for each class of a multiclass task that has none."""
    n_classes = len(config.classes) if config.task == "multiclass" else 0
    absent = np.setdiff1d(np.arange(n_classes), target)
    if not absent.size:
        return matrix, target
    blank = sparse.csr_array((absent.size, matrix.shape[1]))
    return sparse.vstack([matrix, blank], format="csr"), np.append(target, absent)


def _score(model: Any, matrix: Any, target: _Target, task: Task) -> Floats:
    if not matrix.shape[0]:  # scikit-learn refuses what has no rows
        return np.empty((0, len(model.classes_)) if task == "multiclass" else 0)
    if task != "regression":
        scores: Floats = model.decision_function(matrix)
        return scores
    values: Floats = model.predict(matrix) * target.std + target.mean
    return values


def _loss(scores: Floats, target: Floats, task: Task) -> float:
    """Return the log-loss, or the mean squared error; infinity where that is not defined."""
    with np.errstate(over="ignore", invalid="ignore"):
        if task == "binary":
            losses = np.logaddexp(0.0, scores) - target * scores
        elif task == "multiclass":
            losses = logsumexp(scores, axis=1) - scores[np.arange(len(target)), target.astype(np.int64)]
        else:
            losses = (scores - target) ** 2
        loss = float(losses.mean())
    return loss if math.isfinite(loss) else math.inf


def _tensors(model: Any, design: _Design, target: _Target) -> dict[str, Array]:
    """Return the weights of a fitted estimator as the tensors of family ``linear``."""
    weights = np.atleast_2d(model.coef_) * target.std
    bias = np.atleast_1d(model.intercept_).astype(np.float64) * target.std + target.mean
    n_numeric = len(design.encoding.numeric)
    tensors = {
        "bias": bias.reshape(-1),
        "numeric": weights[:, :n_numeric],
        "missing": weights[:, n_numeric : 2 * n_numeric],
    }
    first = 2 * n_numeric
    for i, codes in enumerate(design.codes):
        of_levels = weights[:, first : first + len(codes)].T * design.level_scale
        tensors[f"level.{i}"] = of_levels[codes]
        first += len(codes)
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
