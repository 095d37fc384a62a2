"""The cache of staged files: a file that has not changed is not parsed again."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.ingestion.reading.batches import StagedContent, read_content
from pipelines.ingestion.reading.options import FORMAT_VERSION, ReadingOptions

_KEPT_SECONDS = 30 * 24 * 3600
# A scratch folder of a reader that was killed is in nobody's way for a day.
_SCRATCH_SECONDS = 24 * 3600
SCRATCH_PREFIX = "reading-"


@dataclass(frozen=True)
class StagingCache:
    """Staged files below one folder, each named by what it was made from.

    An entry is one Parquet file that appears whole, by a rename, and says in its footer what it
    holds; so two readers at once do no harm: the later one's equal file takes the place of the
    earlier one's.

    Parameters
    ----------
    folder : Path
        Where they lie; made where it is missing.
    options : ReadingOptions
        How files are read; other options are other entries.
    """

    folder: Path
    options: ReadingOptions

    def path_of(self, identity: str) -> Path:
        """Return where the staged file of bytes with this identity lies, or would."""
        key = hashlib.sha256(f"{FORMAT_VERSION}\n{self.options.to_json()}\n{identity}".encode()).hexdigest()
        return self.folder / f"{key[:40]}.parquet"

    def find(self, identity: str) -> StagedContent | None:
        """Return what is staged for an identity, and keep it from being pruned; None if nothing is."""
        path = self.path_of(identity)
        content = read_content(path)
        if content is not None:
            with suppress(OSError):
                os.utime(path)
        return content

    def keep(self, staged: Path, identity: str) -> Path:
        """Take a staged file in; return where it lies now."""
        path = self.path_of(identity)
        staged.replace(path)
        return path

    def prune(self) -> None:
        """Remove entries that nobody used for 30 days, and what killed readers left."""
        now = time.time()
        for path in self.folder.glob("*.parquet"):
            with suppress(OSError):
                if now - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()
        for folder in self.folder.glob(f"{SCRATCH_PREFIX}*"):
            with suppress(OSError):
                if now - folder.stat().st_mtime > _SCRATCH_SECONDS:
                    for path in folder.iterdir():
                        path.unlink()
                    folder.rmdir()
