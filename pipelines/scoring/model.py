"""A bundle as a function of encoded rows, in this process, on one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from pipelines.bundle.description import LinearArchitecture, NetworkArchitecture
from pipelines.bundle.files import Bundle
from pipelines.config import Task
from pipelines.features.encoding import Encoded
from pipelines.scoring.linear import LinearModel
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
        encoding = bundle.description.encoding
        self._task = bundle.description.task
        self._device = torch.device(device)
        self._calibration = bundle.description.calibration
        intercepts = () if self._calibration is None else self._calibration.intercepts
        self._intercepts = torch.tensor(intercepts, dtype=torch.float64).to(self._device)
        architecture = bundle.description.architecture
        self._family: TreeEnsemble | EmbeddingNetwork | LinearModel
        if isinstance(architecture, NetworkArchitecture):
            self._family = EmbeddingNetwork(bundle.tensors, encoding, architecture, self._device)
        elif isinstance(architecture, LinearArchitecture):
            self._family = LinearModel(bundle.tensors, encoding, architecture, self._device)
        else:
            self._family = TreeEnsemble(bundle.tensors, encoding, self._device)

    def predict(self, encoded: Encoded) -> npt.NDArray[np.float64]:
        """Return the probability of 1 (task ``binary``), of each class (``multiclass``), or the value.

        Parameters
        ----------
        encoded : Encoded
            Rows under the bundle's encoding; a number that is not finite counts as missing.

        Returns
        -------
        ndarray of float64, shape (n,), or (n, K) for task ``multiclass``
        """
        with torch.inference_mode(), _one_thread():
            numeric = torch.from_numpy(encoded.numeric).to(self._device)
            codes = torch.from_numpy(encoded.codes).to(self._device)
            raw = self._family(numeric, codes)
            if self._calibration is not None:
                raw = self._calibration.slope * raw + self._intercepts
            array: npt.NDArray[np.float64] = _outcome(raw, self._task).cpu().numpy()
        return array


def _outcome(raw: torch.Tensor, task: Task) -> torch.Tensor:
    """Return what the sums of a model, shape (n, outputs), mean for a task."""
    if task == "multiclass":
        return torch.softmax(raw, dim=1)
    return torch.sigmoid(raw[:, 0]) if task == "binary" else raw[:, 0]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hold torch to one thread on the CPU: its blocks of rows fit one core's cache.

    More threads would share blocks that are too small to share, and, beside other work, wait for
    each other: seventeen times slower on two busy cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
