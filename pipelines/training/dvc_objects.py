"""What DVC keeps, hashed again: it serves an object that was damaged in its cache as if nothing were wrong.

An object's name is the MD5 of its bytes; that of a folder ends in ``.dir`` and lists the folder's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from pipelines.errors import IntegrityError

_FOLDER = ".dir"
_NAME = re.compile(r"[0-9a-f]{32}(\.dir)?")
_READ_ONLY = 0o444


@dataclass(frozen=True)
class Output:
    """One output of a stage, as ``dvc.lock`` names it: where it lies, and the object that it is."""

    path: str
    md5: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(_FOLDER)


@dataclass
class Survey:
    """The state of the objects of some outputs in a cache: each name, and the file that it stands for."""

    good: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every object is there, with the bytes that its name says."""
        return not self.missing and not self.damaged


def read_outputs(lock: str) -> list[Output]:
    """Return every output that the text of a ``dvc.lock`` names, in its order.

    Raises
    ------
    IntegrityError
        If it is no lock, or names something outside of the workspace.
    """
    try:
        stages = (yaml.safe_load(lock) or {}).get("stages", {}).values()
        found = [Output(out["path"], out["md5"]) for stage in stages for out in stage.get("outs", [])]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise IntegrityError(f"This is no dvc.lock that can be read: {error}") from error
    for output in found:
        _require_inside(output.path)
        _require_name(output.md5)
    return found


def content_digest(path: Path) -> str:
    """Return the name that DVC gives what lies at ``path``: a file, a folder; empty where nothing lies."""
    if path.is_dir():
        return _folder_digest(_listing(files_of(path)))
    return file_md5(path) if path.is_file() else ""


def files_of(folder: Path) -> dict[str, str]:
    """Return the MD5 of every file below a folder by its path in it."""
    return {
        path.relative_to(folder).as_posix(): file_md5(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, in hex."""
    with path.open("rb") as file:
        # DVC names by MD5; nothing here is a matter of secrets.
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class ObjectCache:
    """DVC's cache of this machine, which several trainings share.

    Parameters
    ----------
    root : pathlib.Path
        What DVC calls ``cache.dir``.
    """

    def __init__(self, root: Path) -> None:
        self._objects = root / "files" / "md5"

    def path_of(self, name: str) -> Path:
        """Return where an object lies, if it is there."""
        return self._objects / name[:2] / name[2:]

    def holds(self, name: str) -> bool:
        """Return whether an object is there with the bytes that its name says."""
        path = self.path_of(name)
        try:
            return file_md5(path) == name.removesuffix(_FOLDER)
        except OSError:
            return False

    def survey(self, outputs: Iterable[Output]) -> Survey:
        """Hash every object of the outputs; the files of a folder whose own object is lost stay unknown."""
        found = Survey()
        for name, path in self._named(outputs):
            if self.holds(name):
                found.good[name] = path
            elif self.path_of(name).exists():
                found.damaged[name] = path
            else:
                found.missing[name] = path
        return found

    def files(self, output: Output) -> dict[str, str] | None:
        """Return the MD5 of each file of an output by path; None where its folder's object is no good."""
        if not output.is_folder:
            return {output.path: output.md5}
        if not self.holds(output.md5):
            return None
        return {f"{output.path}/{path}": md5 for path, md5 in self._children(output.md5).items()}

    def discard(self, name: str) -> None:
        """Take an object away; DVC leaves one that is there alone, also when it is damaged."""
        self.path_of(name).unlink(missing_ok=True)

    def keep(self, output: Output, path: Path) -> list[str]:
        """Put back each object of an output that the cache lacks, from what lies at ``path``.

        Returns
        -------
        list of str
            The names of what was put back; nothing, if what lies there is not the output.
        """
        if content_digest(path) != output.md5:
            return []
        contents: dict[str, Path | bytes] = {}
        if output.is_folder:
            files = files_of(path)
            contents = {md5: path / name for name, md5 in files.items()}
            contents[output.md5] = _listing(files)
        else:
            contents[output.md5] = path
        lacking = [name for name in contents if not self.holds(name)]
        for name in lacking:
            content = contents[name]
            self._put(name, content if isinstance(content, bytes) else content.read_bytes())
        return lacking

    def _put(self, name: str, content: bytes) -> None:
        path = self.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # As DVC keeps them. Whoever reads the object meanwhile sees the old one or the new one.
        Path(scratch).chmod(_READ_ONLY)
        Path(scratch).replace(path)

    def _named(self, outputs: Iterable[Output]) -> Iterator[tuple[str, str]]:
        for output in outputs:
            yield output.md5, output.path
            if output.is_folder:
                yield from ((md5, path) for path, md5 in (self.files(output) or {}).items())

    def _children(self, name: str) -> dict[str, str]:
        listed = json.loads(self.path_of(name).read_bytes())
        for entry in listed:
            _require_inside(entry["relpath"])
            _require_name(entry["md5"])
        return {entry["relpath"]: entry["md5"] for entry in listed}


def _listing(files: dict[str, str]) -> bytes:
    """Return what DVC keeps of a folder, byte for byte."""
    entries = [{"md5": files[path], "relpath": path} for path in sorted(files)]
    return json.dumps(entries, sort_keys=True).encode()


def _folder_digest(listing: bytes) -> str:
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + _FOLDER


def _require_inside(path: str) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise IntegrityError(f"{path!r} is named as an output, and lies outside of the workspace.")


def _require_name(name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise IntegrityError(f"{str(name)[:80]!r} is no name of an object of DVC.")
