"""A sample of any table, as the source would give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from pipelines.onboarding.names import clean_names
from pipelines.onboarding.sample import CELLS, PLACE, Sample, sample_of
from pipelines.storage.engine import connect

SampleMaker = Callable[[Mapping[str, Sequence[object]]], Sample]


@pytest.fixture
def make_sample():
    """Return a maker of samples from columns of cells, text or typed."""
    with connect() as connection:

        def make(columns: Mapping[str, Sequence[object]]) -> Sample:
            names = clean_names(columns)
            table = pa.table({names[name]: pa.array(cells) for name, cells in columns.items()})
            table = table.append_column(PLACE, pa.array(range(1, table.num_rows + 1)))
            connection.register("given", table)
            connection.execute(f"CREATE OR REPLACE TABLE {CELLS} AS SELECT * FROM given")
            connection.unregister("given")
            return sample_of(connection, {new: old for old, new in names.items()}, n_total=table.num_rows)

        yield make
