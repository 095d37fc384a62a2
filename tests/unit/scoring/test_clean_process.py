"""A model is opened by an interpreter that knows nothing else, and what that takes is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world
from toy_world import STRONG

from pipelines.scoring.clean_process import run_in_clean_process


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("good")
    return folder / "bundle", toy_world.write_outputs(folder, STRONG)


def test_a_whole_model_opens_and_says_what_it_took(good: tuple[Path, str]) -> None:
    path, digest = good
    run = run_in_clean_process(path, digest, device="cpu", timeout_seconds=300)
    assert run.problem is None
    assert run.seconds > 0
    assert 20 < run.megabytes < 4_000


def test_a_model_that_does_not_repeat_its_golden_rows_fails(tmp_path: Path) -> None:
    digest = toy_world.write_outputs(tmp_path, STRONG._replace(golden_error=0.01))
    run = run_in_clean_process(tmp_path / "bundle", digest, device="cpu", timeout_seconds=300)
    assert run.problem is not None
    assert "does not repeat its golden predictions" in run.problem


def test_a_process_that_takes_too_long_is_ended(good: tuple[Path, str]) -> None:
    run = run_in_clean_process(good[0], good[1], device="cpu", timeout_seconds=0.01)
    assert run.problem == "not done after 0.01 s"
