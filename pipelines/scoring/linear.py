"""The linear model as plain tensor operations on its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from pipelines.bundle.description import LinearArchitecture
from pipelines.features.encoding import Encoding
from pipelines.scoring.blocks import in_blocks
from pipelines.scoring.standard import StandardNumbers


class LinearModel:
    """Weighted sums of standardised numbers, missing indicators and levels, for encoded rows.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Checked weights of family ``linear``.
    encoding : Encoding
        Holds the means and standard deviations of the numeric columns.
    architecture : LinearArchitecture
        The limit of the inputs.
    device : torch.device
        Where the weights lie and the sums are made.
    """

    def __init__(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        encoding: Encoding,
        architecture: LinearArchitecture,
        device: torch.device,
    ) -> None:
        weights = {name: torch.from_numpy(array).to(device) for name, array in tensors.items()}
        self._bias = weights["bias"]
        self._weights = torch.cat([weights["numeric"], weights["missing"]], dim=1)
        self._levels = [weights[f"level.{i}"] for i in range(len(encoding.categorical))]
        self._numbers = StandardNumbers(encoding, architecture.input_limit, device)

    def __call__(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Return the outputs in the units of the target (log-odds, for the tasks with classes).

        Parameters and result are as for :class:`~pipelines.scoring.trees.TreeEnsemble`.
        """
        return in_blocks(self._block, numeric, codes)

    def _block(self, numeric: Tensor, codes: Tensor) -> Tensor:
        inputs = torch.cat(self._numbers(numeric), dim=1)
        total = torch.addmm(self._bias, inputs, self._weights.T)
        for i, of_levels in enumerate(self._levels):
            total += of_levels.index_select(0, codes[:, i])
        return total
