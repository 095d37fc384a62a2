"""Trees as table look-ups: no branches, so the same few tensor operations serve CPU and GPU.

Each split of a tree rules leaves out: those on its right if it goes left, and the reverse. What
it rules out depends on one column only, and on no more than the interval between two thresholds
(or the category) in which the value lies. So, for each column, a table holds for every interval
and every tree the set of leaves that remain, one bit a leaf; a row's leaf in each tree is the one
bit left when the table rows of all columns are combined by *and* (after [1]_).

References
----------
.. [1] Lucchese et al., QuickScorer: a fast algorithm to rank documents with additive ensembles of
   regression trees, SIGIR 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.bundle.description import MAX_LEAVES
from pipelines.bundle.tensors import subtree_sizes
from pipelines.features.encoding import Encoding

# Cells of one block's table of leaves: few enough to stay in a core's cache, many enough to fill a GPU.
_BLOCK_CELLS = {"cpu": 2**17, "cuda": 2**26}
_LEAF_STRIDE = MAX_LEAVES + 1
# A power of two as float32 holds its exponent, plus this bias, from bit 23 on.
_EXPONENT_BIAS, _EXPONENT_SHIFT = 127, 23

Array = npt.NDArray[Any]


class TreeEnsemble:
    """The sum of all trees, for encoded rows.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Checked weights of family ``trees``.
    encoding : Encoding
        Says which columns are numeric.
    device : torch.device
        Where the tables lie and the sums are made.
    """

    def __init__(self, tensors: Mapping[str, Array], encoding: Encoding, device: torch.device) -> None:
        splits = _splits(tensors)
        self._n_numeric = len(encoding.numeric)
        self._columns = [
            _column(index, splits, tensors["category_left"], encoding).to(device)
            for index in np.unique(splits.feature).tolist()
        ]
        self._baseline = torch.from_numpy(tensors["baseline"]).to(device)
        self._all_leaves = torch.from_numpy(splits.all_leaves).to(device)
        self._values = torch.from_numpy(_padded_leaf_values(tensors)).to(device)
        n_trees = len(splits.all_leaves)
        offsets = torch.arange(n_trees, dtype=torch.int32, device=device) * _LEAF_STRIDE
        self._offsets = offsets - _EXPONENT_BIAS
        self._block_rows = max(64, _BLOCK_CELLS[device.type] // max(1, n_trees))

    def __call__(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Return baseline plus trees, for each output.

        Parameters
        ----------
        numeric : float64 tensor, shape (n, k)
            NaN where missing.
        codes : int64 tensor, shape (n, m)
            The last code of a column is for unknown and missing.

        Returns
        -------
        float64 tensor, shape (n, outputs)
        """
        intervals = [
            column.rows(
                numeric[:, column.index]
                if column.index < self._n_numeric
                else codes[:, column.index - self._n_numeric]
            )
            for column in self._columns
        ]
        n_rows = len(numeric)
        n_outputs = len(self._baseline)
        total = self._baseline.repeat(n_rows, 1)
        # Both are used again for every block: fresh memory for each would cost more than the sums.
        n_trees, n_block = len(self._all_leaves), min(self._block_rows, n_rows)
        leaves = self._all_leaves.new_empty((n_block, n_trees))
        kept = self._all_leaves.new_empty((n_block, n_trees))
        for first in range(0, n_rows, self._block_rows):
            block = slice(first, first + self._block_rows)
            n_block = min(self._block_rows, n_rows - first)
            leaves, kept = leaves[:n_block], kept[:n_block]
            leaves.copy_(self._all_leaves.expand(n_block, n_trees))
            for column, interval in zip(self._columns, intervals, strict=True):
                torch.index_select(column.table, 0, interval[block], out=kept)
                leaves.bitwise_and_(kept)
            exponents = leaves.to(torch.float32).view(torch.int32).bitwise_right_shift_(_EXPONENT_SHIFT)
            chosen = exponents.add_(self._offsets).view(-1)
            added = self._values.index_select(0, chosen)
            total[block] += added.view(n_block, n_trees // n_outputs, n_outputs).sum(dim=1)
        return total


@dataclass(frozen=True)
class _Column:
    """What remains of each tree, by the interval of one column."""

    index: int
    # Ascending split points; None for a categorical column, whose codes are the rows of the table.
    thresholds: Tensor | None
    # int32 (intervals + 1, trees): sets of leaves; the last row is for a missing value.
    table: Tensor

    def to(self, device: torch.device) -> _Column:
        thresholds = None if self.thresholds is None else self.thresholds.to(device)
        return _Column(self.index, thresholds, self.table.to(device))

    def rows(self, values: Tensor) -> Tensor:
        """Return the row of the table for each value, as int32."""
        if self.thresholds is None:
            return values.to(torch.int32)
        # The index of the first threshold that is not below the value: those from there on send it left.
        interval = torch.bucketize(values.contiguous(), self.thresholds, out_int32=True)
        return interval.masked_fill_(~values.isfinite(), len(self.table) - 1)


@dataclass(frozen=True)
class _Splits:
    """All splits of all trees, and the leaves that each leaves over, as sets of bits."""

    tree: Array
    feature: Array
    threshold: Array
    missing_left: Array
    category_row: Array
    kept_if_left: Array
    kept_if_right: Array
    # Of each tree, not of each split.
    all_leaves: Array


def _splits(tensors: Mapping[str, Array]) -> _Splits:
    start, right = tensors["tree_start"], tensors["right"]
    sizes = np.concatenate(
        [subtree_sizes(right[a:b]) for a, b in pairwise(start.tolist())] or [np.zeros(0, dtype=np.int64)]
    )
    tree = np.repeat(np.arange(len(start) - 1), np.diff(start))
    is_leaf = right == 0
    n_leaves = (sizes + 1) // 2
    # The leaves to the left of a node, in its own tree.
    before = np.cumsum(is_leaf) - is_leaf
    before = before - before[start[:-1]][tree]
    at = np.flatnonzero(~is_leaf)
    right_child = start[tree[at]] + right[at]
    left_leaves = _bits(before[at], n_leaves[at + 1])
    right_leaves = _bits(before[right_child], n_leaves[right_child])
    all_leaves = _bits(np.zeros(len(start) - 1, dtype=np.int64), n_leaves[start[:-1]])
    return _Splits(
        tree=tree[at],
        feature=tensors["feature"][at],
        threshold=tensors["threshold"][at],
        missing_left=tensors["missing_left"][at].astype(bool),
        category_row=tensors["category_row"][at],
        kept_if_left=~right_leaves,
        kept_if_right=~left_leaves,
        all_leaves=all_leaves,
    )


def _bits(first: Array, count: Array) -> npt.NDArray[np.int32]:
    """Return sets of ``count`` bits in a row, from bit ``first`` on."""
    return (((1 << count) - 1) << first).astype(np.int32)


def _column(index: int, splits: _Splits, category_left: Array, encoding: Encoding) -> _Column:
    chosen = np.flatnonzero(splits.feature == index)
    if index < len(encoding.numeric):
        thresholds = np.unique(splits.threshold[chosen])
        # Row i of the table holds values up to thresholds[i], the one after those beyond all of them.
        n_rows = len(thresholds) + 2
        reach = np.searchsorted(thresholds, splits.threshold[chosen])
        goes_left = np.arange(n_rows)[None, :] <= reach[:, None]
        goes_left[:, -1] = splits.missing_left[chosen]
        points = torch.from_numpy(thresholds)
    else:
        n_rows = len(encoding.categorical[index - len(encoding.numeric)].levels) + 1
        goes_left = category_left[splits.category_row[chosen], :n_rows].astype(bool)
        points = None
    table = np.tile(splits.all_leaves, (n_rows, 1))
    for split, left in zip(chosen, goes_left, strict=True):
        kept = np.where(left, splits.kept_if_left[split], splits.kept_if_right[split])
        table[:, splits.tree[split]] &= kept
    return _Column(index, points, torch.from_numpy(table))


def _padded_leaf_values(tensors: Mapping[str, Array]) -> npt.NDArray[np.float64]:
    """Return the leaves of all trees from left to right, each tree's padded to one stride."""
    start = tensors["tree_start"]
    values = np.zeros((len(start) - 1, _LEAF_STRIDE))
    for tree, (first, stop) in enumerate(pairwise(start.tolist())):
        of_leaves = tensors["value"][first:stop][tensors["right"][first:stop] == 0]
        values[tree, : len(of_leaves)] = of_leaves
    return values.ravel()
