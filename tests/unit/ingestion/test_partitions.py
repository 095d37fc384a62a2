"""Which rows a partition gets, and as what they land."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
import trips
from trips import DAY, Found, column, config_of

from pipelines.config import Settings
from pipelines.errors import ConfigError

Read = Callable[..., Found]
BEFORE, AFTER = "2013-03-03", "2013-03-05"


def ids(found: Found, partition: str = DAY) -> list[int]:
    return list(column(found, "id", partition))


def test_a_row_belongs_to_the_date_of_its_event_time(read: Read) -> None:
    text = trips.table(
        trips.line(1, f"{BEFORE} 23:59:59"), trips.line(2, f"{DAY} 00:00"), trips.line(3, f"{DAY} 23:59:59")
    )
    found = read(text, BEFORE, DAY, AFTER)
    assert [ids(found, day) for day in (BEFORE, DAY, AFTER)] == [[1], [2, 3], []]
    assert found.n_undated == 0


def test_a_row_lands_typed_under_its_key(read: Read) -> None:
    (row,) = read(trips.table(trips.line(1, f"{DAY} 10:00:00"))).rows[DAY].to_pylist()
    assert row == {
        "row_id": f"{DAY}|Bonn|1",
        "source_file": "trips/all.csv",
        "source_line": 2,
        "position": 0,
        "event_time": datetime(2013, 3, 4, 10, tzinfo=UTC),
        "id": 1,
        "at": datetime(2013, 3, 4, 10, tzinfo=UTC),
        "city": "Bonn",
        "distance": 1.5,
        "riders": 2,
        "member": True,
        "booked": date(2013, 3, 1),
        "miscast": None,
        "late": 0,
        "delay": -3.5,
    }


def test_an_empty_partition_has_the_schema_of_a_full_one(read: Read) -> None:
    found = read(trips.table(trips.line(1, f"{DAY} 10:00")), DAY, AFTER)
    assert found.rows[AFTER].num_rows == 0
    assert found.rows[AFTER].schema == found.rows[DAY].schema
    assert found.rows[DAY].schema.field("event_time").type == pa.timestamp("us", tz="UTC")


def test_a_row_with_cells_that_can_not_be_cast_stays_and_tells_them(read: Read) -> None:
    cells = {"distance": '"far ""away"""', "riders": "2.5", "booked": "", "late": "soon"}
    found = read(trips.table(trips.line(1, f"{DAY} 10:00", **cells)))
    assert column(found, "distance") == column(found, "riders") == column(found, "booked") == [None]
    (miscast,) = column(found, "miscast")
    assert json.loads(miscast) == {"distance": 'far "away"', "riders": "2.5"}
    assert column(found, "late") == [None]


def test_the_text_of_a_miscast_cell_is_bounded(read: Read) -> None:
    found = read(trips.table(trips.line(1, f"{DAY} 10:00", distance="x" * 5_000)))
    assert json.loads(column(found, "miscast")[0]) == {"distance": "x" * 200}


def test_a_key_that_can_not_be_cast_still_tells_rows_apart(read: Read) -> None:
    text = trips.table(trips.line(1, DAY, id="one"), trips.line(1, DAY, id="two"), trips.line(1, DAY, id=""))
    assert column(read(text), "row_id") == [f"{DAY}|Bonn|", f"{DAY}|Bonn|one", f"{DAY}|Bonn|two"]


def test_rows_of_one_key_all_land(read: Read) -> None:
    found = read(trips.table(trips.line(1, DAY), trips.line(1, DAY, riders="3")))
    assert column(found, "row_id") == [f"{DAY}|Bonn|1"] * 2
    assert sorted(column(found, "riders")) == [2, 3]


def test_event_time_may_be_an_expression_over_text(read: Read) -> None:
    config = config_of(event_time="CAST(booked AS TIMESTAMP) + to_hours(CAST(riders AS BIGINT))")
    found = read(trips.table(trips.line(1, "")), "2013-03-01", config=config)
    assert column(found, "event_time", "2013-03-01") == [datetime(2013, 3, 1, 2, tzinfo=UTC)]


@pytest.mark.parametrize("expression", ["at +", "nothing", "at) OR (at", "random()", "at; SELECT 1"])
def test_an_event_time_that_does_not_compile_is_refused(read: Read, expression: str) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: event_time .* does not compile .* id, at, city"):
        read(trips.table(trips.line(1, DAY)), config=config_of(event_time=expression))


def test_a_row_without_a_time_lands_beside_the_row_before_it(read: Read) -> None:
    text = trips.table(
        trips.line(1, "?"),  # at the top: with the first row that has a time
        trips.line(2, f"{BEFORE} 10:00"),
        trips.line(3, "2013-03-99"),
        trips.line(4, f"{DAY} 10:00"),
        trips.line(5, ""),
        trips.line(6, "?"),
    )
    found = read(text, BEFORE, DAY, AFTER)
    assert [ids(found, day) for day in (BEFORE, DAY, AFTER)] == [[1, 2, 3], [4, 5, 6], []]
    assert column(found, "event_time")[1:] == [None, None]
    assert [text and json.loads(text) for text in column(found, "miscast")] == [
        None,
        {"event_time": "at=null"},
        {"at": "?", "event_time": "at=?"},
    ]


def test_rows_without_a_time_keep_to_their_file(read: Read) -> None:
    files = {
        "1.csv": trips.table(trips.line(1, BEFORE)),
        "2.csv": trips.table(trips.line(2, "?"), trips.line(3, DAY)),
    }
    found = read(files, BEFORE, DAY)
    assert (ids(found, BEFORE), ids(found, DAY)) == ([1], [2, 3])


def test_each_partition_gets_the_same_strays_alone_as_in_a_range(read: Read) -> None:
    text = trips.table(trips.line(1, BEFORE), trips.line(2, "?"), trips.line(3, DAY), trips.line(4, "?"))
    together = read(text, BEFORE, DAY)
    for day in (BEFORE, DAY):
        assert read(text, day).rows[day].equals(together.rows[day])


def test_a_file_without_any_time_is_named_and_counted(read: Read, settings: Settings) -> None:
    files = {
        "1.csv": trips.table(trips.line(1, DAY)),
        "2.csv": trips.table(trips.line(2, "?"), trips.line(3, "?")),
    }
    found = read(files)
    assert ids(found) == [1]
    assert found.n_undated == 2
    assert found.suspects is not None
    assert "in trips/2.csv no row has an event_time that can be read (2 rows)" in found.suspects


def test_a_query_result_without_any_time_is_counted(read: Read, settings: Settings) -> None:
    (settings.project / "trips.sql").write_text("SELECT * FROM trips")
    found = read(trips.table(trips.line(1, "?")), config=config_of(source={"sql": "trips.sql"}))
    assert found.n_undated == 1
    assert found.suspects is not None
    assert "in source.sql trips.sql no row has an event_time" in found.suspects


def test_a_file_that_lacks_a_column_spoils_only_its_own_partition(read: Read) -> None:
    files = {
        "1.csv": trips.table(trips.line(1, BEFORE)),
        "2.csv": trips.table(trips.line(2, DAY), header=trips.HEADER.replace("riders", "rider")),
        "3.csv": trips.table(trips.line(3, AFTER)),
    }
    found = read(files, BEFORE, DAY, AFTER)
    assert list(found.refused_days) == [DAY]
    assert "2.csv: there is no column 'riders'; the nearest one is 'rider'" in found.refused_days[DAY]
    assert (ids(found, BEFORE), ids(found, AFTER)) == ([1], [3])


def test_replay_moves_every_date_with_the_partition(read: Read) -> None:
    config = config_of(source={"replay_year": 2013})
    found = read(trips.table(trips.line(1, f"{DAY} 10:00")), "2026-03-04", config=config)
    (row,) = found.rows["2026-03-04"].to_pylist()
    assert row["row_id"] == "2026-03-04|Bonn|1"
    assert row["event_time"] == row["at"] == datetime(2026, 3, 4, 10, tzinfo=UTC)
    assert row["booked"] == date(2026, 3, 1)


def test_two_partitions_may_replay_one_day(read: Read) -> None:
    config = config_of(source={"replay_year": 2013})
    found = read(trips.table(trips.line(1, "2013-02-28")), "2024-02-28", "2024-02-29", config=config)
    assert column(found, "row_id", "2024-02-28") == ["2024-02-28|Bonn|1"]
    assert column(found, "row_id", "2024-02-29") == ["2024-02-29|Bonn|1"]
    assert column(found, "at", "2024-02-29") == [datetime(2024, 2, 29, tzinfo=UTC)]
