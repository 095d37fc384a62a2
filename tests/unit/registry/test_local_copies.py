"""A local copy is whole and right, or it is fetched anew; wrong bytes are never handed out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import EngineError, IntegrityError
from pipelines.registry.local_copies import file_digest, verified_copy

RIGHT, WRONG = b"the model", b"another model"
DIGEST = hashlib.sha256(RIGHT).hexdigest()


def folder_digest(path: Path) -> str:
    """Hash a folder of one file."""
    if not path.is_dir():
        raise IntegrityError(f"{path} is no folder")
    return file_digest(path / "weights")


class Source:
    """Somewhere to fetch from, which counts how often that is done."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.n_fetched = 0

    def folder(self, scratch: Path) -> Path:
        self.n_fetched += 1
        (scratch / "bundle").mkdir()
        (scratch / "bundle" / "weights").write_bytes(self.content)
        return scratch / "bundle"

    def file(self, scratch: Path) -> Path:
        self.n_fetched += 1
        (scratch / "file").write_bytes(self.content)
        return scratch / "file"


@pytest.fixture
def source() -> Source:
    return Source(RIGHT)


def copy_of(source: Source, path: Path) -> Path:
    return verified_copy(path, digest=DIGEST, fetch=source.folder, digest_of=folder_digest)


def test_a_right_copy_is_fetched_once(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "toy" / "1" / "bundle"
    assert [copy_of(source, path), copy_of(source, path)] == [path, path]
    assert source.n_fetched == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["bundle"]


def tamper(path: Path) -> None:
    (path / "weights").write_bytes(WRONG)


def lose_a_file(path: Path) -> None:
    (path / "weights").unlink()


def replace_by_a_file(path: Path) -> None:
    lose_a_file(path)
    path.rmdir()
    path.write_bytes(WRONG)


@pytest.mark.parametrize("spoil", [tamper, lose_a_file, replace_by_a_file])
def test_a_spoilt_copy_is_fetched_anew(spoil: Callable[[Path], None], source: Source, tmp_path: Path) -> None:
    path = copy_of(source, tmp_path / "1" / "bundle")
    spoil(path)
    assert folder_digest(copy_of(source, path)) == DIGEST
    assert source.n_fetched == 2
    assert [entry.name for entry in path.parent.iterdir()] == ["bundle"]


def test_a_spoilt_file_is_fetched_anew(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "1" / "reference.parquet"
    path.parent.mkdir()
    path.write_bytes(WRONG)
    verified_copy(path, digest=DIGEST, fetch=source.file, digest_of=file_digest)
    assert path.read_bytes() == RIGHT


def test_a_wrong_original_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "1" / "bundle"
    with pytest.raises(IntegrityError, match=r"bundle of version 1 .* changed after training"):
        copy_of(Source(WRONG), path)
    assert list(path.parent.iterdir()) == []


def test_a_wrong_original_does_not_replace_a_spoilt_copy(source: Source, tmp_path: Path) -> None:
    path = copy_of(source, tmp_path / "1" / "bundle")
    tamper(path)
    source.content = WRONG
    with pytest.raises(IntegrityError):
        copy_of(source, path)


def test_many_at_once_all_get_the_right_copy(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "1" / "bundle"
    path.mkdir(parents=True)
    (path / "weights").write_bytes(WRONG)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(folder_digest(copy_of(source, path)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DIGEST] * 8


def test_a_place_that_takes_no_copy_is_told(source: Source, tmp_path: Path) -> None:
    def fetch_what_vanishes(scratch: Path) -> Path:
        return source.folder(scratch)

    def digest_then_lose(path: Path) -> str:
        digest = folder_digest(path)
        lose_a_file(path)
        path.rmdir()
        return digest

    with pytest.raises(EngineError, match="Can't put a copy"):
        verified_copy(
            tmp_path / "1" / "bundle", digest=DIGEST, fetch=fetch_what_vanishes, digest_of=digest_then_lose
        )
