"""No training runs twice at once, and no more run than there are cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipelines.training.turns import alone, turn

N_CORES = len(os.sched_getaffinity(0))


class Crowd:
    """Counts who is in at once; a door is held until as many as can be are in."""

    def __init__(self, door: Callable[[], AbstractContextManager[None]], n_expected: int) -> None:
        self._door, self._lock, self._full = door, threading.Lock(), threading.Event()
        self._n_expected, self._n_in, self.most = n_expected, 0, 0

    def enter(self, _: int) -> None:
        with self._door():
            with self._lock:
                self._n_in += 1
                self.most = max(self.most, self._n_in)
                if self._n_in == self._n_expected:
                    self._full.set()
            assert self._full.wait(60), "somebody was kept out for no reason"
            with self._lock:
                self._n_in -= 1


@pytest.mark.parametrize(
    ("n_threads", "n_at_once"),
    [
        pytest.param(1, N_CORES, id="one thread each"),
        pytest.param(N_CORES, 1, id="all threads each"),
        pytest.param(100 * N_CORES, 1, id="more threads than cores"),
    ],
)
def test_as_many_trainings_run_as_there_are_cores_for(tmp_path: Path, n_threads: int, n_at_once: int) -> None:
    crowd = Crowd(lambda: turn(tmp_path, n_threads), n_at_once)
    with ThreadPoolExecutor(n_at_once + 3) as pool:
        list(pool.map(crowd.enter, range(n_at_once + 3)))

    assert crowd.most == n_at_once


def test_one_at_a_time_does_the_same_training_and_others_do_theirs(tmp_path: Path) -> None:
    same = Crowd(lambda: alone(tmp_path, "a" * 64), 1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(same.enter, range(4)))
    assert same.most == 1

    keys = iter("bcd")
    others = Crowd(lambda: alone(tmp_path, next(keys) * 64), 3)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(others.enter, range(3)))
    assert others.most == 3


def test_a_turn_that_failed_is_free_again(tmp_path: Path) -> None:
    for _ in range(N_CORES + 1):
        with pytest.raises(ValueError, match="a bug"), turn(tmp_path, 1):
            raise ValueError("a bug")
