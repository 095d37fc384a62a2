"""Numbers as the families that weigh them take them: standardised, clipped, and whether each is missing."""

from __future__ import annotations

import torch
from torch import Tensor

from pipelines.features.encoding import Encoding


class StandardNumbers:
    """Standardises encoded numbers on one device.

    Parameters
    ----------
    encoding : Encoding
        Holds the means and standard deviations.
    limit : float
        How many standard deviations either way are kept.
    device : torch.device
        Where the numbers lie.
    """

    def __init__(self, encoding: Encoding, limit: float, device: torch.device) -> None:
        self._limit = limit
        columns = encoding.numeric
        self._mean = torch.tensor([column.mean for column in columns], dtype=torch.float64).to(device)
        self._std = torch.tensor([column.std for column in columns], dtype=torch.float64).to(device)

    def __call__(self, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers, 0 where one is missing or infinite, and 1.0 where it is so; float64 (n, k)."""
        is_known = numeric.isfinite()
        standard = ((numeric - self._mean) / self._std).clamp(-self._limit, self._limit)
        return standard.where(is_known, 0.0), (~is_known).double()
