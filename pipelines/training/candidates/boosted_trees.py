"""Candidate ``hist_gradient_boosting``: scikit-learn's histogram gradient boosting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from pipelines.bundle.description import MAX_LEAVES, BundleDescription, TrainingNotes, TreesArchitecture
from pipelines.config import DatasetConfig, Task
from pipelines.features.encoding import Encoded, Encoding, encode
from pipelines.training.candidates.fitted import Examples, FittedCandidate, Floats

_NAME = "hist_gradient_boosting"
# scikit-learn's own limit of categories a column.
_MAX_CATEGORIES = 255
_LEARNING_RATE = 0.06
_PATIENCE = 20


def fit_boosted_trees(
    train: Examples, valid: Examples, *, config: DatasetConfig, encoding: Encoding, seed: int
) -> FittedCandidate:
    """Fit trees until the loss on ``valid`` stops falling; keep those up to its lowest point."""
    design = _Design.of(train.encoded, encoding)
    model = _estimator(len(train.target), config, seed, design.n_categorical)
    model.fit(design.matrix(train.encoded), train.target, X_val=design.matrix(valid.encoded), y_val=valid.target)
    # The first score is the baseline's, before any tree; a score is minus the loss.
    n_kept = int(np.argmax(model.validation_score_))
    del model._predictors[n_kept:]
    tensors = _Extraction(model, design, encoding).tensors()
    description = BundleDescription(
        candidate=_NAME,
        task=config.task,
        target=config.target,
        encoding=encoding,
        architecture=TreesArchitecture(
            n_trees=n_kept,
            n_nodes=len(tensors["feature"]),
            n_category_splits=tensors["category_left"].shape[0],
            category_width=tensors["category_left"].shape[1],
        ),
        training=TrainingNotes(
            library=f"scikit-learn {sklearn.__version__}",
            seed=seed,
            n_rows=len(train.target),
            n_valid_rows=len(valid.target),
            n_rounds=n_kept,
            valid_loss=-float(model.validation_score_[n_kept]),
        ),
    )

    def predict(table: pa.Table) -> Floats:
        return _predict(model, design.matrix(encode(table, encoding)), config.task)

    return FittedCandidate(_NAME, description, tensors, predict)


def _estimator(n_rows: int, config: DatasetConfig, seed: int, n_categorical: int) -> Any:
    kind = HistGradientBoostingClassifier if config.task == "binary" else HistGradientBoostingRegressor
    return kind(
        learning_rate=_LEARNING_RATE,
        max_iter=config.training.max_iterations,
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=max(5, min(100, n_rows // 100)),
        l2_regularization=1.0,
        max_features=0.5,
        categorical_features=list(range(n_categorical)) or None,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=_PATIENCE,
        random_state=seed,
    )


def _predict(model: Any, matrix: Floats, task: Task) -> Floats:
    if not len(matrix):
        return np.empty(0)  # scikit-learn refuses what has no rows
    predictions: Floats = model.predict_proba(matrix)[:, 1] if task == "binary" else model.predict(matrix)
    return predictions


@dataclass(frozen=True)
class _Design:
    """Which columns of the encoding scikit-learn sees, and as what.

    Categories come first, as scikit-learn itself would move them. A column without any value in
    training is left out, since scikit-learn fails on it. So are, as if missing, the categories beyond the
    255 most frequent, and numbers that are not finite.
    """

    # Column of the encoding's numbers, in order.
    numeric: tuple[int, ...]
    # Column of the encoding's categories, in order, and what each of its codes becomes: NaN for missing.
    categorical: tuple[int, ...]
    categories: tuple[Floats, ...]

    @classmethod
    def of(cls, encoded: Encoded, encoding: Encoding) -> _Design:
        has_value = np.isfinite(encoded.numeric).any(axis=0)
        found = [
            _frequent_categories(encoded.codes[:, i], column.unknown_code)
            for i, column in enumerate(encoding.categorical)
        ]
        kept = [i for i, categories in enumerate(found) if not np.isnan(categories).all()]
        return cls(
            numeric=tuple(np.flatnonzero(has_value).tolist()),
            categorical=tuple(kept),
            categories=tuple(found[i] for i in kept),
        )

    @property
    def n_categorical(self) -> int:
        return len(self.categorical)

    def matrix(self, encoded: Encoded) -> Floats:
        """Return the design matrix, float64 (n, columns kept); a column of zeros if none is kept."""
        columns = [
            categories[encoded.codes[:, i]]
            for i, categories in zip(self.categorical, self.categories, strict=True)
        ]
        numbers = encoded.numeric[:, self.numeric]
        columns += list(np.where(np.isfinite(numbers), numbers, np.nan).T)
        return np.column_stack(columns or [np.zeros(len(encoded.numeric))])


def _frequent_categories(codes: npt.NDArray[np.int64], unknown_code: int) -> Floats:
    """Return what each code, the unknown one included, becomes: 0, 1, ... for those to keep, else NaN."""
    counts = np.bincount(codes, minlength=unknown_code + 1)[:unknown_code]
    by_frequency = np.argsort(-counts, kind="stable")[:_MAX_CATEGORIES]
    kept = np.sort(by_frequency[counts[by_frequency] > 0])
    categories = np.full(unknown_code + 1, np.nan)
    categories[kept] = np.arange(kept.size)
    return categories


class _Extraction:
    """The trees of a fitted estimator as the tensors of family ``trees``."""

    def __init__(self, model: Any, design: _Design, encoding: Encoding) -> None:
        self._model = model
        self._design = design
        n_numeric = len(encoding.numeric)
        # The encoding's own number of each column of the design matrix.
        self._columns = np.array([n_numeric + i for i in design.categorical] + list(design.numeric), dtype=np.int32)
        self._width = max((len(column.levels) + 1 for column in encoding.categorical), default=1)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        predictors = [of_round[0] for of_round in self._model._predictors]
        trees: list[dict[str, npt.NDArray[Any]]] = []
        rows: list[npt.NDArray[np.uint8]] = []
        for predictor in predictors:
            trees.append(self._tree(predictor, rows))
        names = ("feature", "threshold", "missing_left", "category_row", "right", "value")
        empty = self._tree_of(np.zeros(0, dtype=np.int64))
        starts = np.cumsum([0] + [len(tree["feature"]) for tree in trees], dtype=np.int64)
        return {
            "baseline": np.asarray(self._model._baseline_prediction, dtype=np.float64).reshape(1),
            "tree_start": starts,
            **{name: np.concatenate([empty[name], *(tree[name] for tree in trees)]) for name in names},
            "category_left": np.array(rows, dtype=np.uint8).reshape(len(rows), self._width),
        }
