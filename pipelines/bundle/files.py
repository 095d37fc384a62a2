"""Write and read a bundle: three files, checked byte for byte, none of them executed.

Reading trusts nothing: an unknown file, a folder, a link, an oversized file, an unknown key of
``model.json``, and a tensor of another name, type or shape are all refused.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pipelines.bundle.description import BundleDescription
from pipelines.bundle.tensors import check_tensors
from pipelines.errors import IntegrityError
from pipelines.records import digest_of

DESCRIPTION_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
GOLDEN_FILE = "golden.parquet"
PREDICTION = "prediction"
PROBABILITY = "probability_"
MAX_GOLDEN_ROWS = 200

_MIB = 2**20
_MAX_BYTES = {DESCRIPTION_FILE: 64 * _MIB, WEIGHTS_FILE: 1_024 * _MIB, GOLDEN_FILE: 16 * _MIB}

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory.

    Parameters
    ----------
    description : BundleDescription
        What ``model.json`` says.
    tensors : mapping of str to ndarray
        The weights; names, types and shapes are those that the description implies.
    golden : pyarrow.Table, shape (n, k + 1)
        At most 200 rows of the encoding's feature columns, and the model's :func:`output_columns`
        (float64, no nulls).
    digest : str
        :func:`bundle_digest` of the very bytes that were read.
    """

    description: BundleDescription
    tensors: Tensors
    golden: pa.Table
    digest: str


def write_bundle(path: Path, description: BundleDescription, tensors: Tensors, golden: pa.Table) -> str:
    """Write a bundle into the folder ``path``, which is made, or must be empty.

    The same content gives the same bytes.

    Parameters
    ----------
    golden : pyarrow.Table, shape (n, k + 1)
        As in :class:`Bundle`; other columns are left out.

    Returns
    -------
    str
        The bundle's digest.

    Raises
    ------
    IntegrityError
        If the parts do not fit each other, or the folder holds something already.
    """
    check_tensors(tensors, description)
    golden = _checked_golden(golden, description)
    plain = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    sink = io.BytesIO()
    pq.write_table(golden, sink, compression="zstd", store_schema=False)
    contents = {
        DESCRIPTION_FILE: (description.model_dump_json(indent=2) + "\n").encode(),
        WEIGHTS_FILE: save(plain),
        GOLDEN_FILE: sink.getvalue(),
    }
    path.mkdir(parents=True, exist_ok=True)
    if present := sorted(entry.name for entry in path.iterdir()):
        raise IntegrityError(f"Can't write a bundle into {path}: it holds {present[0]!r} already.")
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return _digest(contents)


def read_bundle(path: Path) -> Bundle:
    """Read and check a bundle; runs no code of the model.

    Raises
    ------
    IntegrityError
        If the folder is no bundle, or any part of it is not what the format allows.
    """
    contents = _contents(path)
    try:
        description = BundleDescription.model_validate_json(contents[DESCRIPTION_FILE])
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise IntegrityError(f"{path / DESCRIPTION_FILE}: {where}: {problem['msg']}.") from error
    try:
        tensors = load(contents[WEIGHTS_FILE])
    except (SafetensorError, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{path / WEIGHTS_FILE} is no safetensors file of known types: {error}"
        ) from error
    check_tensors(tensors, description)
    golden = _read_golden(contents[GOLDEN_FILE], path / GOLDEN_FILE, description)
    return Bundle(
        description=description,
        tensors=tensors,
        golden=_checked_golden(golden, description),
        digest=_digest(contents),
    )


def bundle_digest(path: Path) -> str:
    """Return the SHA-256, in hex, over a bundle's sorted file names and the hashes of their bytes.

    Raises
    ------
    IntegrityError
        If the folder holds anything but a bundle's three plain files.
    """
    return _digest(_contents(path))


def _digest(contents: Mapping[str, bytes]) -> str:
    return digest_of([[name, sha256(contents[name]).hexdigest()] for name in sorted(contents)])


def _contents(path: Path) -> dict[str, bytes]:
    """Read the three files; each is read once, so that what is hashed is what is used."""
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise IntegrityError(f"{path} is no folder that can be read: {error.strerror}.") from error
    if unknown := [name for name in names if name not in _MAX_BYTES]:
        raise IntegrityError(f"{path} holds {unknown[0]!r}, which is no part of a bundle; nothing was read.")
    if missing := [name for name in _MAX_BYTES if name not in names]:
        raise IntegrityError(f"{path} is no bundle: it lacks {missing[0]}.")
    return {name: _read_plain_file(path / name) for name in _MAX_BYTES}


def _read_plain_file(path: Path) -> bytes:
    try:
        # Neither follow a link nor wait on a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise IntegrityError(f"{path} is a link or can't be read: {error.strerror}.") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise IntegrityError(f"{path} is no plain file.")
    limit = _MAX_BYTES[path.name]
    with os.fdopen(descriptor, "rb") as file:
        # It may grow while it is read.
        content = file.read(limit + 1) if found.st_size <= limit else b""
    if max(found.st_size, len(content)) > limit:
        raise IntegrityError(f"{path} is larger than the {limit // _MIB} MiB that the format allows.")
    return content


def output_columns(description: BundleDescription) -> tuple[str, ...]:
    """Return what a model's outputs are called beside its features.

    ``prediction``; of a multiclass model ``probability_0`` to ``probability_<K-1>``, by class.
    """
    if description.task != "multiclass":
        return (PREDICTION,)
    return tuple(f"{PROBABILITY}{number}" for number in range(description.n_outputs))


def outputs_of(table: pa.Table, description: BundleDescription) -> npt.NDArray[np.float64]:
    """Return the outputs in a table as a scorer gives them: shape (n,), or (n, K) of a multiclass model."""
    columns = [table[name].to_numpy() for name in output_columns(description)]
    return np.column_stack(columns) if description.task == "multiclass" else columns[0]


def with_outputs(table: pa.Table, predictions: npt.NDArray[np.float64]) -> pa.Table:
    """Return a table with a scorer's outputs, shape (n,) or (n, K), as columns."""
    if predictions.ndim == 1:
        return table.append_column(PREDICTION, pa.array(predictions))
    for number, column in enumerate(predictions.T):
        table = table.append_column(f"{PROBABILITY}{number}", pa.array(np.ascontiguousarray(column)))
    return table


def _read_golden(content: bytes, path: Path, description: BundleDescription) -> pa.Table:
    """Read no more than the format allows, whatever the few bytes of the file would unfold to."""
    wanted = _golden_schema(description).names
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        n_rows = max(file.metadata.num_rows, sum(group.num_rows for group in groups))
        n_bytes = sum(group.total_byte_size for group in groups)
        if n_rows <= MAX_GOLDEN_ROWS and n_bytes <= _MAX_BYTES[GOLDEN_FILE]:
            return file.read([name for name in wanted if name in file.schema_arrow.names])
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{path} is no Parquet file: {error}") from error
    raise IntegrityError(
        f"A bundle has 1 to {MAX_GOLDEN_ROWS} golden rows in at most {_MAX_BYTES[GOLDEN_FILE] // _MIB} MiB, "
        f"{path} has {n_rows} in {n_bytes // _MIB} MiB."
    )


def _checked_golden(golden: pa.Table, description: BundleDescription) -> pa.Table:
    """Return the golden rows in the format's columns and types."""
    schema = _golden_schema(description)
    if len(set(schema.names)) != len(schema.names):
        taken = next(name for name in schema.names if schema.names.count(name) > 1)
        raise IntegrityError(f"A feature can't be called {taken!r}: rename it in the features query.")
    if not 1 <= golden.num_rows <= MAX_GOLDEN_ROWS:
        raise IntegrityError(
            f"A bundle has 1 to {MAX_GOLDEN_ROWS} golden rows, this one has {golden.num_rows}."
        )
    try:
        plain = golden.select(schema.names).cast(schema)
    except (KeyError, pa.ArrowException) as error:
        raise IntegrityError(f"The golden rows do not fit the model's encoding: {error}") from error
    if not np.isfinite(outputs_of(plain, description)).all():
        raise IntegrityError("A golden prediction is missing or not finite.")
    return plain


def _golden_schema(description: BundleDescription) -> pa.Schema:
    return pa.schema(
        [(column.name, pa.float64()) for column in description.encoding.numeric]
        + [(column.name, pa.string()) for column in description.encoding.categorical]
        + [(name, pa.float64()) for name in output_columns(description)]
    )
