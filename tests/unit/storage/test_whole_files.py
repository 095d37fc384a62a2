"""A file is whole or absent."""

from __future__ import annotations

import pytest

from pipelines.errors import EngineError
from pipelines.storage.whole_files import replace_file, write_atomically


def test_write_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a" / "page.html"
    write_atomically(path, "first")
    write_atomically(path, "zweite Fassung – ü")
    assert path.read_text(encoding="utf-8") == "zweite Fassung – ü"
    assert list(path.parent.iterdir()) == [path]


def test_page_can_be_read_by_the_server_that_shows_it(tmp_path):
    write_atomically(tmp_path / "page.html", "x")
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644


def test_place_that_can_not_be_written_is_an_engine_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="Can't write"):
        write_atomically(tmp_path / "file" / "page.html", "x")


def test_failed_write_leaves_no_half_file(tmp_path):
    (tmp_path / "page.html").mkdir()
    (tmp_path / "page.html" / "inside").write_text("x")
    with pytest.raises(EngineError):
        write_atomically(tmp_path / "page.html", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_file_keeps_the_mode_that_a_person_gave_it(tmp_path):
    path = tmp_path / "notes.yaml"
    path.write_text("old")
    path.chmod(0o600)

    replace_file(path, b"new")

    assert path.stat().st_mode & 0o777 == 0o600
