"""Objects are what their names say, or they are found out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipelines.errors import IntegrityError
from pipelines.training.dvc_objects import ObjectCache, Output, content_digest, read_outputs

FILES = {"a.txt": b"first", "deep/b.txt": b"second", "c.txt": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an output that is a folder of three files."""
    root = tmp_path / "out"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path / "cache")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _output(folder: Path) -> Output:
    return Output("out", content_digest(folder))


def _spoil(path: Path) -> None:
    """Flip a bit, and leave the mode by which DVC trusts what it keeps."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    path.chmod(0o444)


def test_a_folder_is_named_by_the_list_of_its_files_as_dvc_writes_it(folder: Path) -> None:
    listing = [{"md5": _md5(FILES[name]), "relpath": name} for name in sorted(FILES)]

    assert content_digest(folder) == f"{_md5(json.dumps(listing).encode())}.dir"
    assert content_digest(folder / "a.txt") == _md5(b"first")
    assert content_digest(folder / "none") == ""


def test_what_is_kept_is_found_whole_and_is_kept_once(folder: Path, cache: ObjectCache) -> None:
    output = _output(folder)

    assert len(cache.keep(output, folder)) == 4
    assert cache.keep(output, folder) == []
    assert cache.survey([output]).is_whole
    assert cache.files(output) == {f"out/{name}": _md5(content) for name, content in FILES.items()}


@pytest.mark.parametrize("how", ["damaged", "missing"])
@pytest.mark.parametrize("name", ["out/deep/b.txt", "out"])
def test_an_object_that_is_not_what_its_name_says_is_found_and_mended(
    folder: Path, cache: ObjectCache, how: str, name: str
) -> None:
    output = _output(folder)
    cache.keep(output, folder)
    victim = output.md5 if name == "out" else _md5(b"second")
    if how == "damaged":
        _spoil(cache.path_of(victim))
    else:
        cache.discard(victim)

    found = cache.survey([output])

    assert getattr(found, how) == {victim: name}
    assert cache.files(output) is None or name != "out"
    assert cache.keep(output, folder) == [victim]
    assert cache.survey([output]).is_whole


def test_nothing_is_kept_of_what_is_not_the_output(folder: Path, cache: ObjectCache) -> None:
    output = _output(folder)
    (folder / "a.txt").write_bytes(b"other")

    assert cache.keep(output, folder) == []
    assert cache.survey([output]).missing == {output.md5: "out"}


@pytest.mark.parametrize(
    "out",
    [
        pytest.param({"path": "../../etc/passwd", "md5": "0" * 32}, id="above the workspace"),
        pytest.param({"path": "/etc/passwd", "md5": "0" * 32}, id="an absolute path"),
        pytest.param({"path": "out", "md5": "../../" + "0" * 26}, id="a name that is a path"),
        pytest.param({"path": "out"}, id="no name"),
        pytest.param("out", id="no mapping"),
    ],
)
def test_a_lock_that_leads_elsewhere_is_refused(out: object) -> None:
    with pytest.raises(IntegrityError):
        read_outputs(json.dumps({"stages": {"train": {"outs": [out]}}}))


def test_a_listing_that_leads_elsewhere_is_refused(cache: ObjectCache) -> None:
    listing = json.dumps([{"md5": "0" * 32, "relpath": "../../../stolen"}]).encode()
    name = f"{_md5(listing)}.dir"
    cache.path_of(name).parent.mkdir(parents=True)
    cache.path_of(name).write_bytes(listing)

    with pytest.raises(IntegrityError, match="outside of the workspace"):
        cache.files(Output("out", name))


def test_a_lock_of_no_stage_names_nothing() -> None:
    assert read_outputs("") == []
