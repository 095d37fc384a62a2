"""The file of a study is whole or not there, and one that can't be trusted is not."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from pathlib import Path

import pytest

from pipelines.training.search import Study, Trial

TRIALS = [
    Trial(
        number=0,
        candidate="linear_model",
        parameters={},
        state="complete",
        metrics={"rmse": 0.1 + 0.2, "r2": math.nan},
        losses=((1, math.inf), (2, 1e-7), (3, math.nan)),
        seconds=1.5,
    ),
    Trial(
        number=1,
        candidate="linear_model",
        parameters={"input_limit": 4.0, "min_level_rows": 3},
        state="failed",
        said="no finite loss",
    ),
]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study that keeps two trials in ``key.json``."""
    study = Study(tmp_path / "key.json")
    study.keep(TRIALS)
    return study


def test_trials_come_back_as_they_were_kept(study: Study) -> None:
    found = study.read()
    assert [trial.model_dump_json() for trial in found] == [trial.model_dump_json() for trial in TRIALS]
    kinds = {name: type(value) for name, value in found[1].parameters.items()}
    assert kinds == {"input_limit": float, "min_level_rows": int}


def test_a_study_without_a_place_keeps_nothing() -> None:
    study = Study()
    with study.alone():
        study.keep(TRIALS)
    assert study.read() == []


def _torn(content: bytes) -> bytes:
    return content[:-20]


def _another_number(content: bytes) -> bytes:
    return content.replace(b"0.30000000000000004", b"0.20000000000000004")


def _another_state(content: bytes) -> bytes:
    return content.replace(b'"failed"', b'"passed"')


def _a_list(_content: bytes) -> bytes:
    return b"[]"


def _no_text(_content: bytes) -> bytes:
    return b"\xff\xfe\x00"


@pytest.mark.parametrize(
    "spoil",
    [pytest.param(change, id=change.__name__.strip("_").replace("_", "-")) for change in
     (_torn, _another_number, _another_state, _a_list, _no_text)],
)  # fmt: skip
def test_a_file_that_is_not_what_was_kept_is_put_aside_and_said(
    spoil: object, study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert study.read() == []
    assert "key.json can't be read" in caplog.text
    assert "the search begins anew" in caplog.text
    assert (tmp_path / "key.unreadable").is_file()
    study.keep(TRIALS)
    assert len(study.read()) == len(TRIALS)


def test_nothing_half_written_is_left(study: Study, tmp_path: Path) -> None:
    study.keep(TRIALS[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]
    assert set(json.loads((tmp_path / "key.json").read_text())) == {"digest", "trials"}


def test_studies_that_nobody_went_on_with_are_removed_after_a_month(study: Study, tmp_path: Path) -> None:
    long_ago = time.time() - 31 * 24 * 3600
    for name in ("old.json", "study-x.part", "old.lock"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (long_ago, long_ago))
    with study.alone():
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"key.json", "key.lock", "old.lock"}
