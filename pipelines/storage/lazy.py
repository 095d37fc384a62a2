"""A Delta table as a lazy Arrow dataset."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow import fs

_LOCAL = "file://"


def lazy_dataset(table: DeltaTable, **chosen: Any) -> ds.Dataset:
    """Return a table as a dataset that Arrow and DuckDB read with pushdown.

    Parameters
    ----------
    **chosen
        As ``DeltaTable.to_pyarrow_dataset`` takes them, such as ``file_pruning_predicate``.

    Notes
    -----
    Local files are read by Arrow itself. delta-rs's own handler is called back in Python from Arrow's
    threads, and one that is still at it while the interpreter ends aborts the process.
    """
    uri = table.table_uri
    if not uri.startswith(_LOCAL):
        return table.to_pyarrow_dataset(**chosen)
    root = fs.SubTreeFileSystem(unquote(uri.removeprefix(_LOCAL)), fs.LocalFileSystem())
    return table.to_pyarrow_dataset(filesystem=root, **chosen)
