"""Delta tables as DuckDB views: the files themselves where they are local, an Arrow dataset where not."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from pipelines.storage.columns import PARTITION_COLUMN
from pipelines.storage.lazy import lazy_dataset
from pipelines.storage.sql import identifier, literal


def create_view(
    connection: duckdb.DuckDBPyConnection, table: DeltaTable, *, view: str, partitions: Sequence[str] | None
) -> None:
    """Make a temporary view of some partitions of a Delta table, all of them by default.

    The view has every column of the table, also those that older files lack (null there). On local
    disks DuckDB opens the files itself, and only those of the partitions that a query asks for.
    """
    types = _types(connection, table)
    if urlsplit(table.table_uri).scheme in ("", "file"):
        query = _local(connection, _files(table, partitions), types)
    else:
        query = _remote(connection, table, view, partitions, types)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(view)} AS {query}")


def _types(connection: duckdb.DuckDBPyConnection, table: DeltaTable) -> dict[str, str]:
    """Return the DuckDB type of each column, the partition's included, as Arrow brings it in."""
    empty = pa.schema(table.schema().to_arrow()).empty_table()
    connection.register("holdfast_schema", empty)
    rows = connection.sql("DESCRIBE holdfast_schema").fetchall()
    connection.unregister("holdfast_schema")
    return {str(row[0]): str(row[1]) for row in rows}


def _files(table: DeltaTable, partitions: Sequence[str] | None) -> list[str]:
    wanted = None if partitions is None else set(partitions)
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return []
    root = _path(table.table_uri).rstrip("/")
    pairs = actions.select(["path", f"partition.{PARTITION_COLUMN}"]).to_pylist()
    found = [
        (key, path) for path, key in (pair.values() for pair in pairs) if wanted is None or key in wanted
    ]
    return [f"{root}/{unquote(path)}" for _, path in sorted(found)]


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path) if uri.startswith("file:") else uri


def _local(connection: duckdb.DuckDBPyConnection, files: Sequence[str], types: dict[str, str]) -> str:
    if not files:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in types.items())
        return f"SELECT {nothing} WHERE false"
    listed = ", ".join(literal(_unglobbed(path)) for path in files)
    scan = (
        f"read_parquet([{listed}], union_by_name = true, hive_partitioning = true, "
        f"hive_types = {{{identifier(PARTITION_COLUMN)}: VARCHAR}})"
    )
    present = {str(row[0]) for row in connection.sql(f"DESCRIBE SELECT * FROM {scan}").fetchall()}  # noqa: S608
    columns = [
        identifier(name) if name in present else f"CAST(NULL AS {kind}) AS {identifier(name)}"
        for name, kind in types.items()
    ]
    return f"SELECT {', '.join(columns)} FROM {scan}"  # noqa: S608


def _unglobbed(path: str) -> str:
    # DuckDB takes a path for a pattern; a bracketed sign stands for itself.
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def _remote(
    connection: duckdb.DuckDBPyConnection,
    table: DeltaTable,
    view: str,
    partitions: Sequence[str] | None,
    types: dict[str, str],
) -> str:
    # Whole column chunks ahead of the reader would be most of a large partition.
    unbuffered = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
    lazy = lazy_dataset(table)
    files = ds.FileSystemDataset(
        list(lazy.get_fragments()),
        lazy.schema,
        ds.ParquetFileFormat(default_fragment_scan_options=unbuffered),
        lazy.filesystem,
    )
    if partitions is not None:
        files = files.filter(pc.field(PARTITION_COLUMN).isin(pa.array(partitions, pa.string())))
    connection.register(f"{view}_files", files)
    return f"SELECT {', '.join(identifier(name) for name in types)} FROM {identifier(view + '_files')}"  # noqa: S608
