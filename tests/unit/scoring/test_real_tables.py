"""On real tables with holes, unseen levels and infinities, scorer and ONNX say what the library says."""

from __future__ import annotations

import pytest

from benchmarks.parity import ONNX_TOLERANCE, SCORER_TOLERANCE, RealTable, differences, small_tables
from pipelines.training.candidates import PARAMETERS

TABLES = list(small_tables())


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("table", [pytest.param(table, id=table.name) for table in TABLES])
def test_every_candidate_is_scored_as_its_library_would(table: RealTable, name: str) -> None:
    n_rows, of_scorer, of_onnx = differences(table, name)
    assert n_rows >= len(table.features) * 0.39
    assert of_scorer <= SCORER_TOLERANCE
    assert of_onnx <= ONNX_TOLERANCE


def test_the_tables_are_of_every_task_and_have_categories() -> None:
    assert {table.task for table in TABLES} == {"binary", "multiclass", "regression"}
    assert all("size" in table.features.columns for table in TABLES)
