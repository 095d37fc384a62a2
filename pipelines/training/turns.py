"""Who trains when: one process at a time does one training, and no more run than a machine has cores.

The locks go with their processes, however those end; the files stay, since whoever waits has them open.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.5


@contextmanager
def alone(folder: Path, key: str) -> Iterator[None]:
    """Let one process of this machine at a time do the training of ``key``; others wait, and find it done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{key[:32]}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def turn(folder: Path, n_threads: int) -> Iterator[None]:
    """Wait until this machine has cores for one more training of ``n_threads``.

    Sixteen that share two cores end no sooner than two after two, and need eight times the memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_turns = max(1, len(os.sched_getaffinity(0)) // n_threads)
    # Machines that share a home have cores of their own.
    names = [f"turn-{platform.node()}-{number}.lock" for number in range(n_turns)]
    is_told = False
    while True:
        for name in names:
            with (folder / name).open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
        if not is_told:
            _LOG.info("%d trainings run on this machine; this one waits for its turn.", n_turns)
            is_told = True
        time.sleep(_POLL_SECONDS)
