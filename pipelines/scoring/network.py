"""The embedding network as plain tensor operations on its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from pipelines.bundle.description import NetworkArchitecture
from pipelines.features.encoding import Encoding
from pipelines.scoring.blocks import in_blocks
from pipelines.scoring.standard import StandardNumbers


class EmbeddingNetwork:
    """The network's outputs, for encoded rows.

    All is reckoned in float64, from weights that were trained in float32: so CPU, GPU and the
    training library agree far below any tolerance, whatever the order of their sums.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Checked weights of family ``network``.
    encoding : Encoding
        Holds the means and standard deviations of the numeric columns.
    architecture : NetworkArchitecture
        The numbers of embeddings and layers, and the limit of the inputs.
    device : torch.device
        Where the weights lie and the sums are made.
    """

    def __init__(
        self,
        tensors: Mapping[str, npt.NDArray[Any]],
        encoding: Encoding,
        architecture: NetworkArchitecture,
        device: torch.device,
    ) -> None:
        weights = {name: torch.from_numpy(array).to(device).double() for name, array in tensors.items()}
        n_embeddings, n_layers = len(architecture.embedding_widths), len(architecture.hidden_widths) + 1
        self._embeddings = [weights[f"embedding.{i}"] for i in range(n_embeddings)]
        self._layers = [(weights[f"layer.{j}.weight"], weights[f"layer.{j}.bias"]) for j in range(n_layers)]
        self._numbers = StandardNumbers(encoding, architecture.input_limit, device)
        self._scale, self._shift = architecture.target_std, architecture.target_mean

    def __call__(self, numeric: Tensor, codes: Tensor) -> Tensor:
        """Return the outputs in the units of the target (log-odds, for the tasks with classes).

        Parameters and result are as for :class:`~pipelines.scoring.trees.TreeEnsemble`.
        """
        return in_blocks(self._block, numeric, codes)

    def _block(self, numeric: Tensor, codes: Tensor) -> Tensor:
        inputs = [*self._numbers(numeric)]
        inputs += [table[codes[:, i]] for i, table in enumerate(self._embeddings)]
        hidden = torch.cat(inputs, dim=1)
        for weight, bias in self._layers[:-1]:
            hidden = functional.relu(functional.linear(hidden, weight, bias))
        weight, bias = self._layers[-1]
        return functional.linear(hidden, weight, bias) * self._scale + self._shift
