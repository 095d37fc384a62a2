"""The report files of every night, as steps write them: ``<reports>/<dataset>/<night>/<name>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# What is served, and as what; nothing else is, and no file says its own type.
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
NIGHT_PAGE = "index.html"
# Pages that need no script: if a value of the data should ever get through as one, it does not run.
SCRIPTLESS_PAGES = frozenset({NIGHT_PAGE, "validation.html"})

_DATASET = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True)
class Night:
    """The files of one night, the night's own page first."""

    dataset: str
    night: str
    files: tuple[str, ...]


def datasets_with_reports(root: Path) -> list[str]:
    """Return the datasets that have a folder of reports, by name."""
    return sorted(folder.name for folder in _folders(root) if _DATASET.match(folder.name))


def list_nights(root: Path, dataset: str, *, before: str | None = None, limit: int) -> list[Night]:
    """Return the nights of a dataset that have reports, newest first.

    Parameters
    ----------
    root : Path
        The folder of all reports.
    dataset : str
        One of :func:`datasets_with_reports`; any other has no nights.
    before : str, optional
        Leave out this night and later ones.
    limit : int
        How many nights, at most.
    """
    if not _DATASET.match(dataset):
        return []
    names = (folder.name for folder in _folders(root / dataset))
    nights = sorted((n for n in names if _NIGHT.match(n) and (before is None or n < before)), reverse=True)
    return [Night(dataset, night, _files(root / dataset / night)) for night in nights[:limit]]


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


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []


def _files(folder: Path) -> tuple[str, ...]:
    names = [p.name for p in folder.iterdir() if p.suffix in MEDIA_TYPES and not p.name.startswith(".")]
    return tuple(sorted(names, key=lambda name: (name != NIGHT_PAGE, name)))
