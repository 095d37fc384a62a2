"""Read the stack's logs from their ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipelines.config import Settings
from pipelines.errors import StackError
from pipelines.stack.state import StackPaths

_TAIL_BYTES = 256 * 1024
_POLL_SECONDS = 0.3


def last_lines(path: Path, n: int) -> list[str]:
    """Return the last ``n`` lines of a file, reading no more than its last 256 KiB; none if it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(file.tell() - _TAIL_BYTES, 0))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-n:] if n > 0 else []


def logs(
    settings: Settings,
    *,
    name: str | None = None,
    follow: bool = False,
    n: int = 40,
    say: Callable[[str], None] = print,
) -> None:
    """Print the last lines of one process's log, or of each; with ``follow``, go on until interrupted.

    Raises
    ------
    StackError
        If there is no such log.
    """
    folder = StackPaths(settings.home).log("any").parent
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not found:
        raise StackError(f"There are no logs in {folder} yet: run `holdfast up` first.")
    if name is not None and name not in found:
        raise StackError(f"The stack has no log {name!r}; it has {', '.join(found)}.")
    chosen = found if name is None else {name: found[name]}
    prefix = max(map(len, chosen)) if len(chosen) > 1 else 0
    # Where each log ends now, before its last lines are shown: what comes after is the follower's.
    ends = {each: path.stat().st_size for each, path in chosen.items()}
    for each, path in chosen.items():
        for line in last_lines(path, n):
            say(_labelled(each, line, prefix))
    while follow:
        time.sleep(_POLL_SECONDS)
        for each, path in chosen.items():
            lines, ends[each] = _lines_since(path, ends[each])
            for line in lines:
                say(_labelled(each, line, prefix))


def _labelled(name: str, line: str, prefix: int) -> str:
    return f"{name:<{prefix}} | {line}" if prefix else line


def _lines_since(path: Path, start: int) -> tuple[list[str], int]:
    """Return the whole lines written since byte ``start``, and the byte after them."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            # A log that shrank was begun anew.
            file.seek(start if size >= start else 0)
            start = file.tell()
            content = file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode("utf-8", errors="replace").splitlines(), start + len(whole)
