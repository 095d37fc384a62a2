"""The trials of a search on disk: a killed search goes on where it was, two at once do the work once."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from pipelines.records.base import digest_of
from pipelines.training.search.trials import Trial

_LOG = logging.getLogger(__name__)
_KEPT_SECONDS = 30 * 24 * 3600


class Study:
    """The trials that are finished, in one file; without a path, nothing is kept.

    The file is only a shortcut: it holds what would be found again. One that can't be read is
    put aside, and the search begins anew.

    Parameters
    ----------
    path : Path or None
        ``<folder>/<key>.json``. Its key names all that the trials follow from.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time search; others wait, and find its trials done.

        A training that was killed leaves its stage running for a while: the retry must not search beside it.
        """
        if self._path is None:
            yield
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _remove_old(self._path.parent)
        # The lock goes with its process, however that ends; the file stays, since whoever waits has it open.
        with self._path.with_suffix(".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _LOG.info("Another process searches for the same training: waiting for it to end.")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self) -> list[Trial]:
        """Return the finished trials, in order."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            return _parsed(self._path.read_bytes())
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            aside = self._path.with_suffix(".unreadable")
            self._path.replace(aside)
            _LOG.warning(
                "%s can't be read (%s): it is put aside as %s, and the search begins anew.",
                self._path,
                str(error)[:200],
                aside.name,
            )
            return []

    def keep(self, trials: Sequence[Trial]) -> None:
        """Replace the file by these trials, whole or not at all."""
        if self._path is None:
            return
        told = [trial.to_json() for trial in trials]
        text = json.dumps({"digest": digest_of(told), "trials": told})
        part = self._path.with_name(f"study-{uuid.uuid4().hex}.part")
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def _parsed(content: bytes) -> list[Trial]:
    found = json.loads(content)
    if found["digest"] != digest_of(found["trials"]):
        raise ValueError("its digest is another")
    return [Trial.model_validate(trial) for trial in found["trials"]]


def _remove_old(folder: Path) -> None:
    """Remove the studies of trainings that nobody went on with, and what a kill left half written."""
    oldest = time.time() - _KEPT_SECONDS
    for path in folder.iterdir():
        # A lock is never removed: whoever waits for it would wait for another file than who comes next.
        if path.suffix != ".lock" and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
