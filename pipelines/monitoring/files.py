"""Files that are whole or absent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipelines.errors import EngineError


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8; a reader sees the file before or after, never between.

    Raises
    ------
    EngineError
        If the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.chmod(0o644)  # mkstemp's 0600 would hide a page from the server that shows it
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(f"Can't write {path}: {error.strerror}.") from error
