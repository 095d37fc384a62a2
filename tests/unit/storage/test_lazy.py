"""Local tables are read by Arrow's own threads alone, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pytest

from pipelines.storage.lake import Lake


@pytest.mark.parametrize("folder", ["lake", "a lake", "Größe"])
def test_a_local_table_is_read_without_calls_back_into_python(tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder))
    lake.replace("d", "t", "2013-07-04", pa.table({"row_id": ["a", "b"], "x": [1, 2]}))

    lazy = lake.dataset("d", "t")

    assert not isinstance(lazy.filesystem, pa.fs.PyFileSystem)
    assert lazy.to_table()["x"].to_pylist() == [1, 2]
