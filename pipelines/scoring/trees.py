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
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.bundle.description import MAX_LEAVES
from pipelines.bundle.tensors import subtree_sizes
from pipelines.features.encoding import Encoding

# Leaf bits of one block of rows: small enough to stay in a core's cache, large enough to keep a GPU busy.
_BLOCK_CELLS = {"cpu": 2**17, "cuda": 2**26}
_LEAF_STRIDE = MAX_LEAVES + 1
# A float32 that is a power of two holds its exponent, plus this bias, from bit 23 on.
_EXPONENT_BIAS, _EXPONENT_SHIFT = 127, 23
_ALL_LEAVES = np.int32(2**MAX_LEAVES - 1)


@dataclass(frozen=True)
class _Column:
    """The look-up table of one column that any tree splits by."""

    index: int
    # Ascending split points of a numeric column; None for a categorical one, whose codes are the rows.
    thresholds: Tensor | None
    # int32 (intervals + 1, trees): the last row is for a missing value.
    leaves: Tensor


class TreeEnsemble:
    """The raw sum of all trees for encoded rows.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Checked weights of family ``trees``.
    encoding : Encoding
        Says which columns are numeric.
    device : torch.device
        Where tables lie and sums are made.
    """

    def __init__(
        self, tensors: Mapping[str, npt.NDArray[Any]], encoding: Encoding, device: torch.device
    ) -> None:
        self._n_numeric = len(encoding.numeric)
        n_trees = len(tensors["tree_start"]) - 1
        self._baseline = float(tensors["baseline"][0])
        self._columns = [
            _column_table(int(index), tensors, splits, n_trees, device)
            for index, splits in _splits_by_column(tensors).items()
        ]
        # A tree of one leaf has no split that could say so.
        n_leaves = np.array([len(values) for values in _leaf_values(tensors)], dtype=np.int64)
        self._start = torch.from_numpy((2**n_leaves - 1).astype(np.int32)).to(device)
        values = np.zeros((n_trees, _LEAF_STRIDE))
        for tree, leaf_values in enumerate(_leaf_values(tensors)):
            values[tree, : len(leaf_values)] = leaf_values
        self._values = torch.from_numpy(values.ravel()).to(device)
        offsets = torch.arange(n_trees, dtype=torch.int32, device=device) * _LEAF_STRIDE
        self._offsets = offsets - _EXPONENT_BIAS
        self._block_rows = max(64, _BLOCK_CELLS[device.type] // max(1, n_trees))
