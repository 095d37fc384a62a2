"""The report files of every night, as steps write them: ``<reports>/<dataset>/<night>/<name>``."""

from __future__ import annotations

from pathlib import Path

# What is served, and as what; nothing else is, and no file says its own type.
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
NIGHT_PAGE = "index.html"
# Pages that need no script: if a value of the data should ever get through as one, it does not run.
SCRIPTLESS_PAGES = frozenset({NIGHT_PAGE, "validation.html"})


def find_report(root: Path, relative: str) -> Path | None:
    """Return the file that an address means; None unless it is a visible report below ``root``.

    Links are followed first: one that leads out of ``root`` is not found.
    """
    parts = relative.split("/")
    if "\x00" in relative or "\\" in relative or any(part.startswith(".") or not part for part in parts):
        return None
    path = root.joinpath(*parts)
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    is_ours = real.is_relative_to(root.resolve()) and real.is_file() and real.suffix in MEDIA_TYPES
    return real if is_ours else None
