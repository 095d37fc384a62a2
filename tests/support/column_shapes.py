"""Columns of many shapes, before and after they moved: what real tables hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Floats]


def _atoms(random: np.random.Generator, n: int, shift: float) -> Floats:
    """Draw a third of zeros, a fifth at a cap, and the rest between."""
    place = random.random(n)
    return np.where(place < 0.3 + 0.1 * shift, 0.0, np.where(place > 0.8, 10.0, random.exponential(5, n)))


# Each takes a source of chance, a size, and by how many standard deviations or so it moved.
SHAPES: dict[str, Draw] = {
    "normal": lambda random, n, shift: random.normal(shift, 1, n),
    "lognormal": lambda random, n, shift: np.exp(random.normal(shift, 1.5, n)),
    "atoms": _atoms,
    "heavy_tails": lambda random, n, shift: random.standard_cauchy(n) + shift,
    "integers": lambda random, n, shift: random.poisson(6 + 2 * shift, n).astype(np.float64),
    "money": lambda random, n, shift: np.round(random.lognormal(3 + shift / 2, 1, n), 2),
    "timestamps": lambda random, n, shift: 1.7e9 + 1e3 * random.normal(shift, 1, n),
    "constant": lambda _, n, shift: np.full(n, 5.0 + shift),
    "bimodal": lambda random, n, shift: (
        np.where(random.random(n) < 0.5 + shift / 4, -5.0, 5.0) + random.normal(0, 0.3, n)
    ),
    "huge": lambda random, n, shift: 1e300 * random.normal(shift, 1, n),
    "minute": lambda random, n, shift: 1e-300 * random.normal(shift, 1, n),
}
