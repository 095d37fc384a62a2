"""Local copies of registered models, checked against the ledger each time they are handed out."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipelines.errors import EngineError, IntegrityError
from pipelines.records import digest_of

Fetch = Callable[[Path], Path]
Digest = Callable[[Path], str]

_PLACING_ATTEMPTS = 5


def verified_copy(path: Path, *, digest: str, fetch: Fetch, digest_of: Digest) -> Path:
    """Return ``path`` holding exactly the bytes that ``digest`` names, fetched if need be.

    Parameters
    ----------
    path : pathlib.Path
        Where the copy lies; a file or a folder. A reader never sees half of it there.
    digest : str
        What the record says, in hex; never taken from beside the bytes themselves.
    fetch : callable
        Brings the bytes into the empty folder it is given, and returns where they lie in it.
    digest_of : callable
        Hashes a copy; raises IntegrityError if it is malformed.

    Raises
    ------
    IntegrityError
        If the fetched bytes are not those of the record either.
    EngineError
        If the copy can't be put in its place.
    """
    if holds(path, digest, digest_of):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as scratch:
        fetched = fetch(Path(scratch))
        found = digest_of(fetched)
        if found != digest:
            raise IntegrityError(
                f"The registry's {path.name} of version {path.parent.name} has digest {found[:16]}, but the "
                f"ledger says {digest[:16]}: it was changed after training. Restore it, or train again."
            )
        return _put_in_place(fetched, path, is_good=lambda: holds(path, digest, digest_of))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(path: Path) -> str:
    """Return the SHA-256, in hex, over the sorted names of a folder's files and the hashes of their bytes.

    Raises
    ------
    IntegrityError
        If it holds anything but plain files.
    """
    entries = sorted(path.iterdir())
    if odd := [entry.name for entry in entries if entry.is_symlink() or not entry.is_file()]:
        raise IntegrityError(f"{path} holds {odd[0]!r}, which is no plain file; nothing was read.")
    return digest_of([[entry.name, file_digest(entry)] for entry in entries])


def holds(path: Path, digest: str, digest_of: Digest) -> bool:
    """Say whether a copy is there that has a digest."""
    if not path.exists():
        return False
    try:
        return digest_of(path) == digest
    except (IntegrityError, OSError):
        # Also when another process is replacing a spoilt copy under our eyes.
        return False


def _put_in_place(fetched: Path, path: Path, *, is_good: Callable[[], bool]) -> Path:
    for _ in range(_PLACING_ATTEMPTS):
        try:
            return fetched.rename(path)
        except OSError:
            # A folder is in the way: a spoilt copy, or the good one of somebody faster.
            if is_good():
                return path
            _discard(path)
    raise EngineError(
        f"Can't put a copy at {path}: check that the folder is writable, and remove what is there."
    )


def _discard(path: Path) -> None:
    """Take a spoilt copy away in one move, then delete it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".spoilt-") as grave:
        try:
            path.rename(Path(grave) / path.name)
        except FileNotFoundError:
            return  # somebody else was faster
        shutil.rmtree(Path(grave) / path.name, ignore_errors=True)
