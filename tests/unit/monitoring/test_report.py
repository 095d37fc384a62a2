"""What a night was judged by is on disk: whole, plain, and the same on a repeat."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from pipelines.errors import EngineError
from pipelines.monitoring.evidently_report.drawing import EvidentlyPage
from pipelines.monitoring.report import column_histograms, write_report
from pipelines.monitoring.sketch import learn_grid, sketch_table
from pipelines.records import ColumnDrift, DriftRecord, now_utc

TEMP = ColumnDrift(column="temp", method="wasserstein", distance=0.3, threshold=0.1, is_drifted=True)
RECORD = DriftRecord(
    dataset="toy",
    partition_key="2013-03-07",
    model_version="1",
    window=("2013-03-01", "2013-03-07"),
    columns=(TEMP,),
    is_alarm=True,
    is_confirmed=False,
    n_alarm_nights=1,
    reasons=("`temp` moved.",),
)


@pytest.fixture
def sides():
    random = np.random.default_rng(5)

    def draw(shift, levels):
        kinds = random.choice(levels, 4_000)
        empty = pa.nulls(4_000, pa.float64())
        return pa.table({"temp": random.normal(1.6e9 + shift, 1, 4_000), "void": empty, "kind": kinds})

    before, now = draw(0, ["a", "b"]), draw(0.5, ["a", "b", "x" * 5_000])
    grid = learn_grid(before, numeric=["temp", "void"], categorical=["kind"])
    return sketch_table(before, grid), sketch_table(now, grid)


def test_every_column_has_its_distribution_on_both_sides(sides):
    columns = json.loads(json.dumps(column_histograms(*sides), allow_nan=False))
    temp, kind = columns["temp"], columns["kind"]
    assert temp["kind"] == "numeric"
    assert len(temp["edges"]) == len(temp["reference"]) + 1 == len(temp["current"]) + 1
    assert np.all(np.diff(temp["edges"]) > 0)
    middles = np.add(temp["edges"][1:], temp["edges"][:-1]) / 2
    means = [np.average(middles, weights=temp[side]) for side in ("reference", "current")]
    assert means[1] - means[0] == pytest.approx(0.5, abs=0.1)
    assert kind["kind"] == "categorical"
    assert max(map(len, kind["labels"])) <= 120
    assert kind["current"][kind["labels"].index("a")] == pytest.approx(1 / 3, abs=0.03)
    for side in ("reference", "current"):
        assert sum(temp[side]) == pytest.approx(1, abs=1e-3)
        assert sum(kind[side]) == pytest.approx(1, abs=1e-3)


def test_a_column_without_values_has_nothing_to_draw(sides):
    found = column_histograms(*sides)["void"]
    assert (found["kind"], found["edges"], found["reference"]) == ("numeric", [], [])


def test_a_repeat_writes_the_same_files(tmp_path, sides):
    def files(run_id):
        record = RECORD.model_copy(
            update={"decided_at": now_utc(), "run_id": run_id, "duration_seconds": 3.0, "report_path": run_id}
        )
        write_report(tmp_path, record=record, performance=None, pages={}, columns=column_histograms(*sides))
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first = files("a")
    assert first == files("b")
    assert set(first) == {"drift.json", "columns.json"}
    content = json.loads(first["drift.json"])
    assert content["record"]["reasons"] == ["`temp` moved."]
    assert content["record"]["digest"] == RECORD.digest


def test_a_page_that_is_no_longer_drawn_is_taken_away(tmp_path):
    page = EvidentlyPage(html="<p>drift</p>", content={"metrics": []})
    for drawn in ({"drift": page, "performance": page}, {"drift": page, "performance": None}):
        write_report(tmp_path, record=RECORD, performance=None, pages=drawn, columns={})
    assert not (tmp_path / "performance.html").exists()
    assert (tmp_path / "drift.html").read_text() == "<p>drift</p>"
    assert set(json.loads((tmp_path / "drift.json").read_text())["evidently"]) == {"drift"}


def test_a_folder_that_can_not_be_written_is_an_engine_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="Can't write"):
        write_report(tmp_path / "file" / "x", record=RECORD, performance=None, pages={}, columns={})
