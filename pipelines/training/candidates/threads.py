"""How many threads the numeric libraries use while a model is fitted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def limited_threads(n_threads: int) -> Iterator[None]:
    """Hold OpenMP, BLAS and torch to ``n_threads`` each, and give back what was set before.

    Fits that run beside each other slow each other down fivefold if each takes every core, and the
    order of sums, so the last bits of the weights, depends on the number of threads.
    """
    # Whoever fits with torch has imported it by now; nobody else waits seconds for it.
    torch = sys.modules.get("torch")
    with threadpool_limits(limits=n_threads):
        if torch is None:
            yield
            return
        before = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
