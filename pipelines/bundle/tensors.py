"""``weights.safetensors``: the tensors of each family, their types, shapes and meaning.

Family ``trees`` (``t`` trees of ``n`` nodes together, ``k`` outputs, ``c`` splits by category, codes
below ``w``)::

    baseline        float64 (k,)     added to the sum of each output's trees; tree i belongs to output i % k
    tree_start      int64   (t + 1,) where each tree's nodes begin; the last is n
    feature         int32   (n,)     column: numeric ones first, then categorical; -1 for a leaf
    threshold       float64 (n,)     a value up to it goes left; 0 where there is none
    missing_left    uint8   (n,)     whether a value that is missing or infinite goes left (numeric splits)
    category_row    int32   (n,)     row of category_left; -1 for leaves and numeric splits
    right           int32   (n,)     the right child, counted from the tree's root; 0 for a leaf
    value           float64 (n,)     what a leaf adds; 0 for splits
    category_left   uint8   (c, w)   whether a code goes left; the unknown code has its own column

The nodes of a tree are in preorder: the left child follows its parent, then comes the right one.

Family ``network``: ``embedding.<i>`` float32 (levels + 1, width), the last row for unknown;
``layer.<j>.weight`` float32 (out, in) and ``layer.<j>.bias`` float32 (out,); the last layer's out is k.

Family ``linear``: ``bias`` float64 (k,); ``numeric`` float64 (k, numbers) for standardised numbers;
``missing`` of the same shape for their missing indicators; ``level.<i>`` float64 (levels + 1, k), the last
row for unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.bundle.description import (
    MAX_LEAVES,
    BundleDescription,
    LinearArchitecture,
    NetworkArchitecture,
    TreesArchitecture,
)
from pipelines.errors import IntegrityError
from pipelines.features.encoding import Encoding

Array = npt.NDArray[Any]

# The scorer's tables have a row for each threshold of a column and a column for each tree, of 4 bytes: 4 GiB.
_MAX_TABLE_CELLS = 2**30


class TensorSpec(NamedTuple):
    """The type and shape that a tensor must have."""

    dtype: str
    shape: tuple[int, ...]


def expected_tensors(description: BundleDescription) -> dict[str, TensorSpec]:
    """Return the type and shape of every tensor that the description implies."""
    architecture = description.architecture
    if isinstance(architecture, TreesArchitecture):
        return _tree_specs(architecture, description.n_outputs)
    if isinstance(architecture, LinearArchitecture):
        return _linear_specs(description.encoding, description.n_outputs)
    return _network_specs(architecture, description.encoding, description.n_outputs)


def check_tensors(tensors: Mapping[str, Array], description: BundleDescription) -> None:
    """Check that the weights are exactly those that the description implies, and make sense.

    Raises
    ------
    IntegrityError
        If a tensor is missing, unknown, of another type or shape, or not finite; or if trees are
        not well-formed: in preorder, with features, rows and leaves within their bounds.
    """
    expected = expected_tensors(description)
    if wrong := sorted(set(tensors) ^ set(expected)):
        word = "unknown" if wrong[0] in tensors else "missing"
        raise IntegrityError(f"The weights do not fit model.json: tensor {wrong[0][:80]!r} is {word}.")
    for name, spec in expected.items():
        found = TensorSpec(str(tensors[name].dtype), tuple(tensors[name].shape))
        if found != spec:
            raise IntegrityError(f"The weights do not fit model.json: {name} is {found}, not {spec}.")
        if tensors[name].dtype.kind == "f" and not np.isfinite(tensors[name]).all():
            raise IntegrityError(f"The weights of {name} are not all finite.")
    if isinstance(description.architecture, TreesArchitecture):
        _check_trees(tensors, description.encoding, description.architecture)


def subtree_sizes(right: Array) -> npt.NDArray[np.int64]:
    """Return the number of nodes below and including each node of one tree.

    Parameters
    ----------
    right : array of int, shape (n,)
        The tree's part of tensor ``right``.

    Raises
    ------
    IntegrityError
        If the nodes are not one whole binary tree in preorder.
    """
    n_nodes = len(right)
    sizes = np.ones(n_nodes, dtype=np.int64)
    children = right.tolist()
    for node in range(n_nodes - 1, -1, -1):
        child = children[node]
        if child == 0:
            continue
        if not node + 1 < child < n_nodes or child != node + 1 + sizes[node + 1]:
            raise IntegrityError(f"A tree is not in preorder: node {node} has {child} as its right child.")
        sizes[node] = 1 + sizes[node + 1] + sizes[child]
    if n_nodes == 0 or sizes[0] != n_nodes:
        raise IntegrityError("A tree is not whole: nodes are missing, or hang on no parent.")
    return sizes


def _tree_specs(architecture: TreesArchitecture, n_outputs: int) -> dict[str, TensorSpec]:
    nodes = (architecture.n_nodes,)
    return {
        "baseline": TensorSpec("float64", (n_outputs,)),
        "tree_start": TensorSpec("int64", (architecture.n_trees + 1,)),
        "feature": TensorSpec("int32", nodes),
        "threshold": TensorSpec("float64", nodes),
        "missing_left": TensorSpec("uint8", nodes),
        "category_row": TensorSpec("int32", nodes),
        "right": TensorSpec("int32", nodes),
        "value": TensorSpec("float64", nodes),
        "category_left": TensorSpec("uint8", (architecture.n_category_splits, architecture.category_width)),
    }


def _network_specs(
    architecture: NetworkArchitecture, encoding: Encoding, n_outputs: int
) -> dict[str, TensorSpec]:
    specs = {
        f"embedding.{i}": TensorSpec("float32", (len(column.levels) + 1, width))
        for i, (column, width) in enumerate(
            zip(encoding.categorical, architecture.embedding_widths, strict=True)
        )
    }
    # Each number comes with an indicator that says whether it is missing.
    n_in = 2 * len(encoding.numeric) + sum(architecture.embedding_widths)
    for j, n_out in enumerate((*architecture.hidden_widths, n_outputs)):
        specs[f"layer.{j}.weight"] = TensorSpec("float32", (n_out, n_in))
        specs[f"layer.{j}.bias"] = TensorSpec("float32", (n_out,))
        n_in = n_out
    return specs


def _linear_specs(encoding: Encoding, n_outputs: int) -> dict[str, TensorSpec]:
    numbers = TensorSpec("float64", (n_outputs, len(encoding.numeric)))
    return {
        "bias": TensorSpec("float64", (n_outputs,)),
        "numeric": numbers,
        "missing": numbers,
        **{
            f"level.{i}": TensorSpec("float64", (len(column.levels) + 1, n_outputs))
            for i, column in enumerate(encoding.categorical)
        },
    }


def _check_trees(tensors: Mapping[str, Array], encoding: Encoding, architecture: TreesArchitecture) -> None:
    start, right, feature = tensors["tree_start"], tensors["right"], tensors["feature"]
    category_row = tensors["category_row"]
    n_numeric, n_features = len(encoding.numeric), len(encoding.numeric) + len(encoding.categorical)
    if start[0] != 0 or start[-1] != architecture.n_nodes or (np.diff(start) < 1).any():
        raise IntegrityError("The trees' nodes do not fill the weights from end to end.")
    for first, stop in pairwise(start.tolist()):
        subtree_sizes(right[first:stop])
        if np.count_nonzero(right[first:stop] == 0) > MAX_LEAVES:
            raise IntegrityError(f"A tree has more than the {MAX_LEAVES} leaves that the format allows.")
    is_leaf = right == 0
    is_categorical = feature >= n_numeric
    if (is_leaf != (feature == -1)).any() or (feature < -1).any() or (feature >= n_features).any():
        raise IntegrityError("A tree splits by a column that the encoding does not have.")
    if (is_categorical != (category_row != -1)).any() or (category_row < -1).any():
        raise IntegrityError("A tree splits by category where the column has none, or the reverse.")
    if (category_row >= architecture.n_category_splits).any():
        raise IntegrityError("A tree splits by a row of categories that is not there.")
    n_codes = max((len(column.levels) + 1 for column in encoding.categorical), default=1)
    if architecture.category_width != n_codes:
        raise IntegrityError(
            f"The rows of categories have {architecture.category_width} codes, the encoding {n_codes}."
        )
    _check_table_sizes(tensors, encoding, architecture)


def _check_table_sizes(
    tensors: Mapping[str, Array], encoding: Encoding, architecture: TreesArchitecture
) -> None:
    """Refuse trees whose few bytes would unfold to more than a machine has memory."""
    feature, n_numeric = tensors["feature"], len(encoding.numeric)
    n_rows = 0
    for column in np.unique(feature[feature >= 0]).tolist():
        if column < n_numeric:
            n_rows += np.unique(tensors["threshold"][feature == column]).size + 2
        else:
            n_rows += encoding.categorical[column - n_numeric].unknown_code + 1
    if n_rows * architecture.n_trees > _MAX_TABLE_CELLS:
        raise IntegrityError(
            f"The trees are too large to score: {n_rows} thresholds and levels, {architecture.n_trees} trees."
        )
