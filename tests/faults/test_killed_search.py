"""kill -9 in a search, and two searches for one training at once: what is found is what one alone finds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from search_hill import Hill, space, timeless

from pipelines.training.search import Budget, Study, Trial, search

N_TRIALS = 10


class _Deadly(Hill):
    """Is killed in the middle of its n-th trial, as ``kill -9`` does; marks each trial that it starts."""

    def __init__(self, marks: Path, n_lives: int) -> None:
        super().__init__()
        self._marks, self._n_lives = marks, n_lives

    def on_way(self, n_round: int) -> None:
        if n_round == 1:
            (self._marks / f"{os.getpid()}-{len(self.asked)}").touch()
            time.sleep(0.02)
        if len(self.asked) == self._n_lives and n_round == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def _search(path: Path, marks: Path, n_lives: int) -> None:
    search(_Deadly(marks, n_lives), space=space(), budget=Budget(N_TRIALS), study=Study(path))


@pytest.fixture(scope="module")
def whole() -> list[Trial]:
    """Return the trials of a search that nothing happened to."""
    return search(Hill(), space=space(), budget=Budget(N_TRIALS), study=Study())


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Return an empty folder."""
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks"


def test_a_search_killed_in_every_third_trial_ends_where_one_that_was_not_does(
    processes: multiprocessing.context.ForkServerContext, whole: list[Trial], tmp_path: Path, marks: Path
) -> None:
    path = tmp_path / "studies" / "key.json"
    codes = []
    while not codes or codes[-1] != 0:
        process = processes.Process(target=_search, args=(path, marks, 3))
        process.start()
        process.join(120)
        codes.append(process.exitcode)
        assert codes[-1] in (0, -signal.SIGKILL)
    # Each life but the last finishes two trials of ten, and loses a third one.
    assert codes == [-signal.SIGKILL] * 4 + [0]
    assert timeless(Study(path).read()) == timeless(whole)
    assert [found.suffix for found in sorted(path.parent.iterdir())] == [".json", ".lock"]


def test_two_searches_for_one_training_do_each_trial_once(
    processes: multiprocessing.context.ForkServerContext, whole: list[Trial], tmp_path: Path, marks: Path
) -> None:
    path = tmp_path / "studies" / "key.json"
    searches = [processes.Process(target=_search, args=(path, marks, 0)) for _ in range(2)]
    for process in searches:
        process.start()
    for process in searches:
        process.join(120)
    assert [process.exitcode for process in searches] == [0, 0]
    assert len(list(marks.iterdir())) == N_TRIALS
    assert timeless(Study(path).read()) == timeless(whole)
