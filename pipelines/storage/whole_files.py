"""Files that a reader sees before or after a write, never between."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipelines.errors import EngineError


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, as :func:`replace_file` does.

    Raises
    ------
    EngineError
        If the folder can't be written to.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise EngineError(f"Can't write {path}: {error.strerror}.") from error


def replace_file(path: Path, content: bytes) -> None:
    """Put a file with ``content`` in the place of ``path``; make the folder, if it is not there.

    Parameters
    ----------
    path : Path
        Keeps the mode that it has; anybody can read a new one.

    Raises
    ------
    OSError
        If it can't be written; then all is as before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    scratch = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp's 0600 would hide a page from the server that shows it.
        scratch.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
