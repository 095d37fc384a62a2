"""Sketches as bytes: a header in JSON and plain arrays, compressed and sealed; nothing in them is code."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import IntegrityError
from pipelines.monitoring.sketch.columns import CategoryDays, NumericDays, narrow
from pipelines.monitoring.sketch.grid import Grid
from pipelines.monitoring.sketch.table import DaySketches

_MAGIC = b"HFSKETCH"
_VERSION = 1
# Magic, version, size of what is compressed, size of the header in it; then the digest of all the rest.
_PREFIX = struct.Struct("<8sHQQ")
_SEAL_BYTES = 16
_MAX_BYTES = 4 << 30
_COMPRESSION = 9

Array = npt.NDArray[Any]


def pack(sketches: DaySketches) -> bytes:
    """Return sketches and their grid as bytes; the same sketches give the same bytes."""
    arrays = [_narrowest(array) for array in _arrays(sketches)]
    header = json.dumps(
        {
            "days": sketches.days,
            "numeric": list(sketches.grid.numeric),
            "categorical": [[name, levels] for name, levels in sketches.grid.categorical.items()],
            "strangers": [column.strangers for column in sketches.categorical.values()],
            "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
        },
        ensure_ascii=False,
    ).encode()
    content = b"".join([header, *(_shuffled(array) for array in arrays)])
    packed: bytes = pa.Codec("zstd", compression_level=_COMPRESSION).compress(content, asbytes=True)
    prefix = _PREFIX.pack(_MAGIC, _VERSION, len(content), len(header))
    return prefix + _seal(prefix + packed) + packed


def unpack(content: bytes) -> DaySketches:
    """Return the sketches that :func:`pack` was given.

    Raises
    ------
    IntegrityError
        If these are other bytes, were changed, or are of another version.
    """
    prefix, start = content[: _PREFIX.size], _PREFIX.size + _SEAL_BYTES
    if len(content) < start or not content.startswith(_MAGIC):
        raise IntegrityError("These bytes are no sketch of Holdfast; train the model again.")
    _, version, size, header_size = _PREFIX.unpack(prefix)
    if version != _VERSION:
        raise IntegrityError(f"This sketch has format {version}, not {_VERSION}; train the model again.")
    packed = content[start:]
    is_sealed = content[_PREFIX.size : start] == _seal(prefix + packed)
    if not is_sealed or not header_size <= size <= _MAX_BYTES:
        raise IntegrityError("A sketch was changed or cut off after it was written; train the model again.")
    try:
        plain = pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True)
        header = json.loads(plain[:header_size])
        return _rebuild(header, _read_arrays(header["arrays"], plain[header_size:]))
    except (ValueError, KeyError, TypeError, StopIteration, OSError, pa.ArrowException) as error:
        raise IntegrityError(f"A sketch can't be read ({error}); train the model again.") from error


def _arrays(sketches: DaySketches) -> Iterator[Array]:
    yield sketches.n_rows
    for name, numeric in sketches.numeric.items():
        yield sketches.grid.numeric[name]
        yield from (numeric.counts, numeric.n_missing, numeric.extremes, numeric.totals, numeric.tails)
    for categorical in sketches.categorical.values():
        yield from (categorical.counts, categorical.n_missing, categorical.n_strange)


def _rebuild(header: dict[str, Any], arrays: Iterator[Array]) -> DaySketches:
    n_rows = next(arrays).astype(np.int64)
    edges, numeric, categorical = {}, {}, {}
    for name in header["numeric"]:
        edges[name] = next(arrays)
        counts, n_missing, extremes, totals, tails = (next(arrays) for _ in range(5))
        numeric[name] = NumericDays(counts, n_missing.astype(np.int64), extremes, totals, tails)
    levels = {name: tuple(known) for name, known in header["categorical"]}
    for name, strangers in zip(levels, header["strangers"], strict=True):
        counts, n_missing, n_strange = (next(arrays) for _ in range(3))
        sums = n_missing.astype(np.int64), n_strange.astype(np.int64)
        categorical[name] = CategoryDays(counts, *sums, tuple(strangers))
    return DaySketches(Grid(edges, levels), tuple(header["days"]), n_rows, numeric, categorical)


def _read_arrays(described: list[Any], content: bytes) -> Iterator[Array]:
    offset = 0
    for kind, shape in described:
        dtype = np.dtype(kind)
        if dtype.kind not in "uf":
            raise ValueError(f"an array of type {kind}")
        n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        part = np.frombuffer(content, dtype=np.uint8, count=n_bytes, offset=offset)
        offset += n_bytes
        planes = part.reshape(dtype.itemsize, -1)
        yield np.ascontiguousarray(planes.T).view(dtype).reshape(shape)


def _narrowest(array: Array) -> Array:
    return narrow(array) if array.dtype.kind in "iu" else np.asarray(array, dtype="<f8")


def _shuffled(array: Array) -> bytes:
    """Return an array's bytes plane by plane: equal ones lie together, and shrink."""
    planes = np.ascontiguousarray(array).view(np.uint8).reshape(-1, array.dtype.itemsize)
    return planes.T.tobytes()


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL_BYTES).digest()
