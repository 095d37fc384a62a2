"""Days of snapshots that the DVC cache has already: a new day alone is read from the lake, and written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa

from pipelines.records import digest_of
from pipelines.storage.whole_files import write_atomically
from pipelines.training.dvc_objects import ObjectCache, file_md5


class KeptDays:
    """Knows which object of the DVC cache is the file of which rows.

    Parameters
    ----------
    cache : pathlib.Path
        DVC's cache folder; what is known lies in it, below ``days``, and goes with it.
    """

    def __init__(self, cache: Path) -> None:
        self._cache, self._folder = ObjectCache(cache), cache / "days"

    def copy(self, digest: str, path: Path) -> bool:
        """Write the file of the rows that ``digest`` names to ``path``; return whether one was kept."""
        name = self._object_of(digest)
        return bool(name) and copy_object(self._cache, name, path)

    def remember(self, digest: str, path: Path) -> None:
        """Note that ``path`` is the file of the rows that ``digest`` names."""
        key, name = _key(digest), file_md5(path)
        text = json.dumps({"md5": name, "digest": digest_of([key, name])})
        write_atomically(self._folder / key[:2] / key[2:], text)

    def _object_of(self, digest: str) -> str:
        key = _key(digest)
        try:
            content = json.loads((self._folder / key[:2] / key[2:]).read_bytes())
            name = str(content["md5"])
            # A damaged note must not lead to the rows of another day.
            return name if content["digest"] == digest_of([key, name]) else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def copy_object(cache: ObjectCache, name: str, path: Path) -> bool:
    """Copy an object out of the cache, and hash the copy; return whether it is the one that was named."""
    if not cache.path_of(name).is_file():
        return False
    shutil.copyfile(cache.path_of(name), path)
    return file_md5(path) == name


def _key(digest: str) -> str:
    # Another pyarrow may write the same rows as other bytes.
    return digest_of([digest, pa.__version__])
