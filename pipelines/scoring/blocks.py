"""Rows taken a block at a time, so that memory stays bounded however many there are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_BLOCK_ROWS = {"cpu": 2**13, "cuda": 2**18}


def in_blocks(reckon: Callable[[Tensor, Tensor], Tensor], numeric: Tensor, codes: Tensor) -> Tensor:
    """Return what ``reckon`` gives for each block of encoded rows, put together.

    Parameters
    ----------
    reckon : callable
        Takes the numbers and the codes of some rows, gives their outputs, shape (rows, k).
    numeric, codes : Tensor, shape (n, any)
        On one device.
    """
    n_rows = _BLOCK_ROWS[numeric.device.type]
    blocks = zip(torch.split(numeric, n_rows), torch.split(codes, n_rows), strict=True)
    return torch.cat([reckon(*block) for block in blocks])
