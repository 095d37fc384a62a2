"""A bundle as a function of feature rows, in this process, on one device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from pipelines.bundle.description import NetworkArchitecture
from pipelines.bundle.files import Bundle
from pipelines.features.encoding import encode
from pipelines.scoring.network import EmbeddingNetwork
from pipelines.scoring.trees import TreeEnsemble


class LoadedModel:
    """A model whose weights lie on a device.

    Parameters
    ----------
    bundle : Bundle
        As read and checked.
    device : {"cpu", "cuda"}
        Where to reckon; ``cuda`` initialises CUDA in this process.
    """

    def __init__(self, bundle: Bundle, device: str) -> None:
        self._encoding = bundle.description.encoding
        self._is_binary = bundle.description.task == "binary"
        self._device = torch.device(device)
        architecture = bundle.description.architecture
        if isinstance(architecture, NetworkArchitecture):
            self._family: TreeEnsemble | EmbeddingNetwork = EmbeddingNetwork(
                bundle.tensors, self._encoding, architecture, self._device
            )
        else:
            self._family = TreeEnsemble(bundle.tensors, self._encoding, self._device)

    def predict(self, features: pa.Table) -> npt.NDArray[np.float64]:
        """Return the probability of 1 (task ``binary``) or the value (``regression``) of each row.

        Parameters
        ----------
        features : pyarrow.Table, shape (n, k)
            With the encoding's columns; others are ignored. Nulls and unseen levels are allowed.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        encoded = encode(features, self._encoding)
        with torch.inference_mode():
            numeric = torch.from_numpy(encoded.numeric).to(self._device)
            codes = torch.from_numpy(encoded.codes).to(self._device)
            raw = self._family(numeric, codes)
            predictions = torch.sigmoid(raw) if self._is_binary else raw
            array: npt.NDArray[np.float64] = predictions.cpu().numpy()
        return array
