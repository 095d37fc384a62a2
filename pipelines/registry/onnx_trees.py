"""The trees of a bundle as one ``TreeEnsemble`` of ONNX, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper

Array = npt.NDArray[Any]

# As the operator numbers its kinds of splits.
_UP_TO, _MEMBER = 0, 6
# No code is negative: a set of this one has no member.
_NO_CODE = -1.0


@dataclass
class _Parts:
    """The operator's attributes, as they are gathered node by node."""

    feature: list[int] = field(default_factory=list)
    mode: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    # Of each node: what it leads to if the answer is yes, and if it is no.
    branches: list[list[tuple[bool, int]]] = field(default_factory=list)
    sets: list[float] = field(default_factory=list)
    leaf_target: list[int] = field(default_factory=list)
    leaf_weight: list[float] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)


def tree_ensemble(
    tensors: Mapping[str, Array], *, source: str, result: str
) -> tuple[NodeProto | None, npt.NDArray[np.float64]]:
    """Return the operator, and what is to be added to its result, shape (k,).

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Checked weights of family ``trees``.
    source, result : str
        Names of the operator's input, float64 (n, columns), NaN where missing, and of its output (n, k).

    Returns
    -------
    tuple of NodeProto or None, and ndarray
        No operator if no tree has a split: the sums are then the same for all rows.
    """
    baseline = tensors["baseline"].astype(np.float64).copy()
    n_outputs, parts = len(baseline), _Parts()
    for number, (first, stop) in enumerate(pairwise(tensors["tree_start"].tolist())):
        if stop - first == 1:
            baseline[number % n_outputs] += tensors["value"][first]
        else:
            _add_tree(parts, tensors, range(first, stop), target=number % n_outputs)
    if not parts.roots:
        return None, baseline
    return _operator(parts, n_outputs, source=source, result=result), baseline


def _add_tree(parts: _Parts, tensors: Mapping[str, Array], nodes: range, *, target: int) -> None:
    right, first = tensors["right"], nodes.start
    is_leaf = (right[first : nodes.stop] == 0).tolist()
    # Where each node of the tree will be: among the leaves, or among the splits.
    places, n_leaves, n_splits = [], len(parts.leaf_weight), len(parts.feature)
    for leaf in is_leaf:
        places.append((leaf, n_leaves if leaf else n_splits))
        n_leaves, n_splits = n_leaves + leaf, n_splits + (not leaf)
    parts.roots.append(places[0][1])
    for offset, node in enumerate(nodes):
        if is_leaf[offset]:
            parts.leaf_target.append(target)
            parts.leaf_weight.append(float(tensors["value"][node]))
        else:
            _add_split(parts, tensors, node, branches=[places[offset + 1], places[int(right[node])]])


def _add_split(
    parts: _Parts, tensors: Mapping[str, Array], node: int, *, branches: list[tuple[bool, int]]
) -> None:
    parts.feature.append(int(tensors["feature"][node]))
    row = int(tensors["category_row"][node])
    if row == -1:
        parts.mode.append(_UP_TO)
        parts.split.append(float(tensors["threshold"][node]))
        parts.missing_true.append(int(tensors["missing_left"][node]))
        parts.branches.append(branches)
        return
    goes_left = tensors["category_left"][row] == 1
    # Of the codes that go left and the others, the fewer are listed.
    is_left_listed = goes_left.sum() * 2 <= goes_left.size
    members = np.flatnonzero(goes_left == is_left_listed)
    parts.mode.append(_MEMBER)
    parts.split.append(0.0)
    parts.missing_true.append(0)
    parts.branches.append(branches if is_left_listed else branches[::-1])
    parts.sets += [*members.astype(np.float64).tolist(), *([] if members.size else [_NO_CODE]), np.nan]


def _operator(parts: _Parts, n_outputs: int, *, source: str, result: str) -> NodeProto:
    yes, no = zip(*parts.branches, strict=True)
    sets = {"membership_values": _doubles("membership_values", parts.sets)} if parts.sets else {}
    return helper.make_node(
        "TreeEnsemble",
        [source],
        [result],
        domain="ai.onnx.ml",
        n_targets=n_outputs,
        aggregate_function=1,  # the sum
        post_transform=0,
        tree_roots=parts.roots,
        nodes_featureids=parts.feature,
        nodes_modes=helper.make_tensor("nodes_modes", TensorProto.UINT8, [len(parts.mode)], parts.mode),
        nodes_splits=_doubles("nodes_splits", parts.split),
        nodes_missing_value_tracks_true=parts.missing_true,
        nodes_truenodeids=[place for _, place in yes],
        nodes_trueleafs=[int(leaf) for leaf, _ in yes],
        nodes_falsenodeids=[place for _, place in no],
        nodes_falseleafs=[int(leaf) for leaf, _ in no],
        leaf_targetids=parts.leaf_target,
        leaf_weights=_doubles("leaf_weights", parts.leaf_weight),
        **sets,
    )


def _doubles(name: str, values: list[float]) -> TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)
