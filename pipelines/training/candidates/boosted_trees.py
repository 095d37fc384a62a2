"""Candidate ``hist_gradient_boosting``: scikit-learn's histogram gradient boosting."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from pipelines.bundle.description import BundleDescription, TrainingNotes, TreesArchitecture
from pipelines.config import DatasetConfig, Task
from pipelines.features.encoding import Encoded, Encoding, encode
from pipelines.training.candidates.fitted import Examples, FitOptions, FittedCandidate, Floats, OnRound

_NAME = "hist_gradient_boosting"
# scikit-learn's own limit of categories a column.
_MAX_CATEGORIES = 255
# A validation of other days than the training has plateaus that are only crossed after dozens of trees.
_PATIENCE = 50
# A multiclass model has a tree a class and iteration: with many classes, fewer iterations.
_MAX_TREES = 4_000
# scikit-learn adds neighbouring values to find what lies between: larger ones would overflow.
_LARGEST = 1e300
_NODE_DTYPES = {
    "feature": np.int32,
    "threshold": np.float64,
    "missing_left": np.uint8,
    "category_row": np.int32,
    "right": np.int32,
    "value": np.float64,
}

Array = npt.NDArray[Any]


def fit_boosted_trees(
    train: Examples, valid: Examples, *, config: DatasetConfig, encoding: Encoding, options: FitOptions
) -> FittedCandidate:
    """Fit trees until the loss on ``valid`` stops falling; keep those up to its lowest point."""
    n_leaf = _leaf_rows(len(train.target), options.parameters["leaf_rows_factor"])
    design = _Design.of(train.encoded, encoding, n_least=n_leaf)
    model = _estimator(n_leaf, config, design.n_categorical, options)
    matrix, target = _with_every_class(design.matrix(train.encoded), train.target, config)
    model.fit(matrix, target, X_val=design.matrix(valid.encoded), y_val=valid.target)
    # The first score is the baseline's, before any tree; a score is minus the loss.
    n_kept = int(np.argmax(model.validation_score_))
    del model._predictors[n_kept:]
    tensors = _tensors(model, design, encoding)
    description = BundleDescription(
        candidate=_NAME,
        task=config.task,
        target=config.target,
        classes=config.classes,
        encoding=encoding,
        architecture=TreesArchitecture(
            n_trees=len(tensors["tree_start"]) - 1,
            n_nodes=len(tensors["feature"]),
            n_category_splits=tensors["category_left"].shape[0],
            category_width=tensors["category_left"].shape[1],
        ),
        training=TrainingNotes(
            library=f"scikit-learn {sklearn.__version__}",
            seed=options.seed,
            n_rows=len(train.target),
            n_valid_rows=len(valid.target),
            n_rounds=n_kept,
            valid_loss=-float(model.validation_score_[n_kept]),
            parameters=dict(options.changed),
        ),
    )

    def predict(table: pa.Table) -> Floats:
        return _predict(model, design.matrix(encode(table, encoding)), config.task)

    def score(table: pa.Table) -> Floats:
        return _score(model, design.matrix(encode(table, encoding)), config.task)

    return FittedCandidate(_NAME, description, tensors, predict, score)


def _leaf_rows(n_rows: int, factor: float) -> int:
    """Return the least number of rows of a leaf."""
    return max(2, round(max(5, min(100, n_rows // 100)) * factor))


def _with_every_class(matrix: Floats, target: Floats, config: DatasetConfig) -> tuple[Floats, Floats]:
    """Return the rows, and one that tells nothing for each class of a multiclass task that has none.

    A class that may come must have an output, and some small chance: that of one more row, of which no
    leaf can be made.
    """
    n_classes = len(config.classes) if config.task == "multiclass" else 0
    absent = np.setdiff1d(np.arange(n_classes), target)
    blank = np.full((len(absent), matrix.shape[1]), np.nan)
    return np.vstack([matrix, blank]), np.append(target, absent)


def _estimator(n_leaf: int, config: DatasetConfig, n_categorical: int, options: FitOptions) -> Any:
    kind = HistGradientBoostingRegressor if config.task == "regression" else HistGradientBoostingClassifier
    n_a_round = len(config.classes) if config.task == "multiclass" else 1
    chosen = options.parameters
    # scikit-learn halves the squared error.
    unit = 2.0 if config.task == "regression" else 1.0
    return _watched(kind, lambda number, loss: options.on_round(number, unit * loss))(
        learning_rate=chosen["learning_rate"],
        max_iter=min(config.training.max_iterations, _MAX_TREES // n_a_round),
        max_leaf_nodes=int(chosen["max_leaf_nodes"]),
        min_samples_leaf=n_leaf,
        l2_regularization=chosen["l2_regularization"],
        max_features=chosen["max_features"],
        categorical_features=list(range(n_categorical)) or None,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=_PATIENCE,
        random_state=options.seed,
    )


def _watched(kind: Any, on_round: OnRound) -> Any:
    """Return the kind of estimator, telling the validation loss after each iteration."""

    class Watched(kind):  # type: ignore[misc]
        # scikit-learn asks it after the baseline and after each iteration; a score is minus the loss.
        def _should_stop(self, scores: list[float]) -> bool:
            if len(scores) > 1:
                on_round(len(scores) - 1, -float(scores[-1]))
            stops: bool = super()._should_stop(scores)
            return stops

    return Watched


def _score(model: Any, matrix: Floats, task: Task) -> Floats:
    if task == "regression" or not len(matrix):
        return _predict(model, matrix, task)
    scores: Floats = model.decision_function(matrix)
    return scores


def _predict(model: Any, matrix: Floats, task: Task) -> Floats:
    if not len(matrix):  # scikit-learn refuses what has no rows
        return np.empty((0, len(model.classes_)) if task == "multiclass" else 0)
    if task == "regression":
        values: Floats = model.predict(matrix)
        return values
    chances: Floats = model.predict_proba(matrix)
    return chances if task == "multiclass" else chances[:, 1]


@dataclass(frozen=True)
class _Design:
    """Which columns of the encoding scikit-learn sees, and as what.

    Categories come first, as scikit-learn itself would move them. A column without any value in
    training is left out, since scikit-learn fails on it; so is a number that is known in fewer rows than a
    leaf has, since of a large table it looks at a sample, which may hold none of them. Categories beyond
    the 255 most frequent, and numbers that are not finite, count as missing.
    """

    # Column of the encoding's numbers, in order.
    numeric: tuple[int, ...]
    # Column of the encoding's categories, in order, and what each of its codes becomes: NaN for missing.
    categorical: tuple[int, ...]
    categories: tuple[Floats, ...]

    @classmethod
    def of(cls, encoded: Encoded, encoding: Encoding, *, n_least: int) -> _Design:
        has_values = np.isfinite(encoded.numeric).sum(axis=0) >= n_least
        found = [
            _frequent_categories(encoded.codes[:, i], column.unknown_code)
            for i, column in enumerate(encoding.categorical)
        ]
        kept = [i for i, categories in enumerate(found) if not np.isnan(categories).all()]
        return cls(
            numeric=tuple(np.flatnonzero(has_values).tolist()),
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
        columns += list(np.where(np.isfinite(numbers), np.clip(numbers, -_LARGEST, _LARGEST), np.nan).T)
        return np.column_stack(columns or [np.zeros(len(encoded.numeric))])


def _frequent_categories(codes: npt.NDArray[np.int64], unknown_code: int) -> Floats:
    """Return what each code, the unknown one included, becomes: 0, 1, ... for those to keep, else NaN."""
    counts = np.bincount(codes, minlength=unknown_code + 1)[:unknown_code]
    by_frequency = np.argsort(-counts, kind="stable")[:_MAX_CATEGORIES]
    kept = np.sort(by_frequency[counts[by_frequency] > 0])
    categories = np.full(unknown_code + 1, np.nan)
    categories[kept] = np.arange(kept.size)
    return categories


def _tensors(model: Any, design: _Design, encoding: Encoding) -> dict[str, Array]:
    """Return the trees of a fitted estimator as the tensors of family ``trees``."""
    n_numeric = len(encoding.numeric)
    # The encoding's own number of each column of the design matrix.
    columns = np.array([n_numeric + i for i in design.categorical] + list(design.numeric), dtype=np.int32)
    width = max((len(column.levels) + 1 for column in encoding.categorical), default=1)
    rows: list[Array] = []
    trees = []
    # One tree a round; of a multiclass model one for each class, in order.
    for predictor in chain.from_iterable(model._predictors):
        nodes = _in_preorder(predictor.nodes)
        is_categorical = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 1)
        trees.append(_tree(nodes, is_categorical, columns, first_row=len(rows)))
        for node in nodes[is_categorical]:
            categories = design.categories[node["feature_idx"]]
            row = np.zeros(width, dtype=np.uint8)
            row[: categories.size] = _goes_left(node, categories, predictor.raw_left_cat_bitsets)
            rows.append(row)
    return {
        "baseline": np.array(model._baseline_prediction, dtype=np.float64).reshape(-1),
        "tree_start": np.cumsum([0] + [len(tree["right"]) for tree in trees], dtype=np.int64),
        "category_left": np.array(rows, dtype=np.uint8).reshape(len(rows), width),
        **{
            name: np.concatenate([np.empty(0, dtype), *(tree[name] for tree in trees)])
            for name, dtype in _NODE_DTYPES.items()
        },
    }


def _in_preorder(nodes: Array) -> Array:
    """Return the nodes with each left child right after its parent, and child indices to match."""
    order: list[int] = []
    waiting = [0]
    left, right, is_leaf = nodes["left"].tolist(), nodes["right"].tolist(), nodes["is_leaf"].tolist()
    while waiting:
        node = waiting.pop()
        order.append(node)
        if not is_leaf[node]:
            waiting += [right[node], left[node]]
    position = np.zeros(len(nodes), dtype=np.uint32)
    position[order] = np.arange(len(order))
    moved = nodes[order]
    moved["right"] = np.where(moved["is_leaf"] == 1, 0, position[moved["right"]])
    return moved


def _tree(nodes: Array, is_categorical: Array, columns: Array, *, first_row: int) -> dict[str, Array]:
    is_leaf = nodes["is_leaf"] == 1
    is_numeric = ~is_leaf & ~is_categorical
    # A split between known and missing has the threshold infinity: every known value is below it.
    threshold = np.minimum(nodes["num_threshold"], np.finfo(np.float64).max)
    tree = {
        "feature": np.where(is_leaf, -1, columns[np.where(is_leaf, 0, nodes["feature_idx"])]),
        "threshold": np.where(is_numeric, threshold, 0.0),
        "missing_left": np.where(is_numeric, nodes["missing_go_to_left"], 0),
        "category_row": np.where(is_categorical, first_row + np.cumsum(is_categorical) - 1, -1),
        "right": nodes["right"],
        "value": np.where(is_leaf, nodes["value"], 0.0),
    }
    return {name: tree[name].astype(dtype) for name, dtype in _NODE_DTYPES.items()}


def _goes_left(node: Any, categories: Floats, bitsets: Array) -> Array:
    """Return, for each code, whether a split by category sends it left."""
    is_known = ~np.isnan(categories)
    category = np.where(is_known, categories, 0).astype(np.uint32)
    bits = bitsets[node["bitset_idx"]][category // 32] >> (category % 32) & 1
    goes_left: Array = np.where(is_known, bits, node["missing_go_to_left"])
    return goes_left
