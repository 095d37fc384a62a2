"""Versions of a suite: the file as it is, another file, or what git has of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.validation.suite import read_text

_SECONDS = 60


@dataclass(frozen=True)
class Version:
    """One version of a suite: its name for people, and its text; None where it did not exist then."""

    name: str
    text: str | None


def version_of(path: Path, against: str | None, *, project: Path) -> Version:
    """Return another version of the suite at ``path``.

    Parameters
    ----------
    against : str or None
        A file, or a commit, branch or tag of git; git's ``HEAD`` by default.

    Raises
    ------
    ConfigError
        If it is neither a file nor a commit, or the project is in no git repository.
    """
    if against is not None and Path(against).is_file():
        return Version(against, read_text(Path(against)))
    reference = against or "HEAD"
    asked = f"Name a file or a commit with --against (it was {reference!r})."
    found = _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    if found is None:
        raise ConfigError(f"There is no version of {path.name} to compare with in git. {asked}")
    name = f"{path.parent.name}/{path.name} at {reference}"
    inside = path.resolve().relative_to(project.resolve()).as_posix()
    return Version(name, _git(project, "show", f"{found.strip()}:./{inside}"))


def _git(project: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it has no such thing, or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],
            check=True,
            capture_output=True,
            encoding="utf-8",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
