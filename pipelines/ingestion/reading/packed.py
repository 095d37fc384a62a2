"""Open a file that may be packed (.gz, .zip), and stop where it unpacks to more than it may."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from pipelines.errors import SchemaError

#: Beyond so many bytes, a file that unpacks to more than so many times its size is a bomb: text that
#: people write packs to between a third and a fiftieth.
BOMB_BYTES, BOMB_RATIO = 1024**3, 250
_BROKEN = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


class Plain:
    """A stream of the unpacked bytes, which counts them.

    Parameters
    ----------
    stream : file
        Gives the unpacked bytes.
    name : str
        What a person calls the file.
    n_packed : int
        Bytes of the file as it lies there.
    max_bytes : int
        How many it may give.
    """

    def __init__(self, stream: BinaryIO, *, name: str, n_packed: int, max_bytes: int) -> None:
        self._stream = stream
        self._name = name
        self._n_packed = n_packed
        self._max_bytes = max_bytes
        self._n_given = 0

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes: fewer than ``n_bytes`` only at the end.

        Raises
        ------
        SchemaError
            If the file is damaged, or holds more than it may.
        """
        try:
            data = self._stream.read(n_bytes)
        except _BROKEN as error:
            raise _broken(self._name, error) from error
        self._n_given += len(data)
        refuse_bomb(self._name, n_packed=self._n_packed, n_unpacked=self._n_given, max_bytes=self._max_bytes)
        return data


def refuse_bomb(name: str, *, n_packed: int, n_unpacked: int, max_bytes: int) -> None:
    """Raise if a file unpacks to more than it may.

    Raises
    ------
    SchemaError
        If ``n_unpacked`` is above ``max_bytes``, or out of all proportion to ``n_packed``.
    """
    if n_unpacked > max_bytes:
        raise SchemaError(
            f"{name} holds more than {max_bytes:,} bytes. If that is right, raise "
            "source.limits.max_file_bytes."
        )
    if n_unpacked > BOMB_BYTES and n_unpacked > BOMB_RATIO * n_packed:
        raise SchemaError(
            f"{name} has {n_packed:,} bytes, and unpacks to more than {BOMB_RATIO} times as many: it is "
            "refused as a decompression bomb. If it is a table after all, deliver it unpacked."
        )


def _broken(name: str, error: Exception) -> SchemaError:
    # What a library says may quote the names inside an archive, which have up to 65,535 characters.
    reason = str(error)[:200].rstrip(".")
    return SchemaError(f"{name} can't be unpacked: {reason}. It may be damaged, or is packed in another way.")


@contextmanager
def open_plain(path: Path, *, name: str, max_bytes: int) -> Iterator[Plain]:
    """Open a file for reading, unpacked; what packed it is told by its name or its first bytes.

    Raises
    ------
    SchemaError
        If an archive is damaged, or holds another number of files than one.
    """
    n_packed = path.stat().st_size
    with path.open("rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if name.lower().endswith(".zip") or start == b"PK\x03\x04":
            with _member(raw, name) as opened:
                yield Plain(opened, name=name, n_packed=n_packed, max_bytes=max_bytes)
        elif name.lower().endswith(".gz") or start[:2] == b"\x1f\x8b":
            with cast(BinaryIO, gzip.open(raw)) as opened:
                yield Plain(opened, name=name, n_packed=n_packed, max_bytes=max_bytes)
        else:
            yield Plain(raw, name=name, n_packed=n_packed, max_bytes=max_bytes)


@contextmanager
def _member(raw: BinaryIO, name: str) -> Iterator[BinaryIO]:
    # A member's name is never used as a path.
    try:
        archive = zipfile.ZipFile(raw)
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not member.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            raise SchemaError(f"{name} holds {len(members)} files; a zipped table is exactly one.")
        opened = archive.open(members[0])
    except (*_BROKEN, UnicodeDecodeError) as error:
        raise _broken(name, error) from error
    with archive, opened:
        yield cast(BinaryIO, opened)
