"""Write several files as one act: all of them, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.storage.whole_files import replace_file


def require_free(paths: Mapping[Path, str], *, force: bool) -> None:
    """Refuse to overwrite files, unless ``force``.

    Raises
    ------
    ConfigError
        Names the first file that is there with another content.
    """
    for path, text in paths.items():
        if path.exists() and not force and path.read_text(encoding="utf-8", errors="replace") != text:
            raise ConfigError(
                f"{path} is there already. Say --force to overwrite it, or choose another name."
            )


def write_all(texts: Mapping[Path, str]) -> None:
    """Write each file whole; if one can't be written, those that were are as they were before.

    Raises
    ------
    ConfigError
        If a file can't be written; then none is.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in texts}
    try:
        for path, text in texts.items():
            replace_file(path, text.encode())
    except OSError as error:
        for path, content in before.items():
            with contextlib.suppress(OSError):
                if content is None:
                    path.unlink(missing_ok=True)
                elif path.read_bytes() != content:
                    replace_file(path, content)
        raise ConfigError(f"Nothing was written: {error.filename or error}: {error.strerror}.") from error
