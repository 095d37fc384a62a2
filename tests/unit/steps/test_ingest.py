"""Ingesting nights: what lands, when labels come, and that a repeat changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.compute as pc
import pytest
import trips
from trips import DAY

from pipelines.errors import ConfigError, SchemaError, SourceError
from pipelines.records import IngestionRecord, partition_range
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest, ingest_range

BEFORE, AFTER = "2013-03-03", "2013-03-05"
THREE_DAYS = {
    "1.csv": trips.table(trips.line(1, BEFORE), trips.line(2, BEFORE, late="")),
    "2.csv": trips.table(trips.line(3, DAY, late="1"), trips.line(4, DAY, riders="many")),
    "3.csv": trips.table(trips.line(5, AFTER)),
}
World = Callable[..., Runtime]


@pytest.fixture
def world(make_runtime: Callable[..., Runtime], tmp_path: Path) -> World:
    """Return a maker of a Runtime on the trips, with the given files."""

    def make(files: dict[str, str], **overrides: object) -> Runtime:
        folder = tmp_path / "home" / "sources" / "trips"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return make_runtime({"datasets": {"trips": trips.CONFIG | overrides}})

    return make


def landed(runtime: Runtime, table: str, partition: str) -> list[int | str]:
    rows = runtime.lake.read("trips", table, partitions=[partition])
    keys: list[str] = rows["row_id"].to_pylist()
    return sorted(key.rsplit("|", 1)[1] for key in keys)


def test_a_night_lands_its_rows_and_the_labels_of_the_day_before(world: World) -> None:
    runtime = world(THREE_DAYS)
    record = ingest("trips", DAY, runtime=runtime)
    assert landed(runtime, "raw", DAY) == ["3", "4"]
    assert landed(runtime, "labels", BEFORE) == ["1"]
    assert runtime.lake.partition_keys("trips", "raw") == [DAY]
    assert runtime.lake.partition_keys("trips", "labels") == [BEFORE]
    assert (record.n_rows, record.n_miscast, record.n_labels, record.n_unlabelled) == (2, 1, 1, 1)
    assert record.labels_partition_key == BEFORE
    assert record.source_uri.endswith("sources/trips/*.csv")
    assert runtime.ledger.latest(IngestionRecord, "trips", DAY) == record


def test_no_label_lands_with_its_own_rows(world: World) -> None:
    runtime = world(THREE_DAYS)
    ingest("trips", DAY, runtime=runtime)
    raw = runtime.lake.read("trips", "raw")
    own = ["row_id", "event_time", "miscast", "source_file", "source_line", "position", "partition_key"]
    columns = [*own, *trips.CONFIG["columns"]]
    assert sorted(raw.column_names) == sorted(columns)


def test_labels_come_as_late_as_they_are_declared(world: World) -> None:
    runtime = world(THREE_DAYS, label_delay_days=2)
    record = ingest("trips", AFTER, runtime=runtime)
    assert record.labels_partition_key == BEFORE
    assert runtime.lake.partition_keys("trips", "labels") == [BEFORE]


def test_the_first_night_of_a_source_brings_no_labels(world: World) -> None:
    runtime = world(THREE_DAYS)
    record = ingest("trips", BEFORE, runtime=runtime)
    assert (record.labels_partition_key, record.labels_digest, record.n_labels) == (None, None, 0)
    assert runtime.lake.read("trips", "labels").num_rows == 0


def test_a_day_of_which_the_source_has_nothing_lands_empty(world: World) -> None:
    runtime = world(THREE_DAYS)
    record = ingest("trips", "2013-03-09", runtime=runtime)
    assert record.n_rows == 0
    assert runtime.lake.read("trips", "raw", partitions=["2013-03-09"]).num_rows == 0


def test_a_day_that_loses_its_rows_in_the_source_loses_them_in_the_lake(world: World) -> None:
    runtime = world(THREE_DAYS)
    ingest_range("trips", BEFORE, AFTER, runtime=runtime)
    record = ingest("trips", DAY, runtime=world({"2.csv": trips.table(), "1.csv": trips.table()}))
    assert (record.n_rows, record.n_labels) == (0, 0)
    assert runtime.lake.partition_keys("trips", "raw") == [BEFORE, AFTER]
    assert landed(runtime, "labels", BEFORE) == []


def test_a_repeat_gives_the_same_record_and_commits_nothing(world: World) -> None:
    runtime = world(THREE_DAYS)
    first, again = (ingest("trips", DAY, runtime=runtime) for _ in range(2))
    assert first.digest == again.digest
    assert first.delta_version == again.delta_version
    assert len(runtime.ledger.history(IngestionRecord, "trips")) == 1


def test_two_at_once_land_one_night(world: World) -> None:
    runtime = world(THREE_DAYS)
    assert runtime.ledger.champions.present("trips") is None  # opens the ledger, so that the threads share it
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: ingest("trips", DAY, runtime=runtime), range(2))
    assert one.digest == other.digest
    assert landed(runtime, "raw", DAY) == ["3", "4"]
    assert landed(runtime, "labels", BEFORE) == ["1"]


def test_a_range_lands_what_its_nights_would(world: World, tmp_path: Path) -> None:
    runtime = world(THREE_DAYS)
    told: list[tuple[str, int, int]] = []
    together = ingest_range("trips", BEFORE, AFTER, runtime=runtime, progress=lambda *step: told.append(step))
    assert len({record.delta_version for record in together}) == 1, "one commit for all three"
    alone = [ingest("trips", night, runtime=runtime) for night in partition_range(BEFORE, AFTER)]
    assert [record.digest for record in together] == [record.digest for record in alone]
    assert {record.delta_version for record in alone} == {record.delta_version for record in together}
    assert told[0] == ("reading the source", 0, 3)
    assert told[-1] == ("landing labels", 3, 3)


def test_a_file_that_lacks_a_column_refuses_its_night_and_no_other(world: World) -> None:
    lacking = trips.table(trips.line(3, DAY), header=trips.HEADER.replace("city", "town"))
    runtime = world(THREE_DAYS | {"2.csv": lacking})
    with pytest.raises(SchemaError, match=r"1 partition\(s\).*, 0 landed. 2013-03-04: .*no column 'city'"):
        ingest("trips", DAY, runtime=runtime)
    assert not runtime.lake.exists("trips", "raw")
    with pytest.raises(SchemaError, match=r"1 partition\(s\).*, 2 landed. 2013-03-04"):
        ingest_range("trips", BEFORE, AFTER, runtime=runtime)
    assert runtime.lake.partition_keys("trips", "raw") == [BEFORE, AFTER]
    assert [r.partition_key for r in runtime.ledger.history(IngestionRecord, "trips")] == [BEFORE, AFTER]


def test_a_night_is_not_taken_for_empty_while_a_file_has_no_times(world: World) -> None:
    runtime = world(THREE_DAYS | {"2.csv": trips.table(trips.line(3, "?"))})
    with pytest.raises(SchemaError, match=r"2013-03-04: the source has no row .* in .*2\.csv no row has"):
        ingest("trips", DAY, runtime=runtime)
    assert ingest("trips", AFTER, runtime=runtime).n_undated == 1


def test_a_refusal_of_many_nights_names_the_first_and_counts_the_rest(world: World) -> None:
    runtime = world({"1.csv": trips.table(trips.line(1, "?"))})
    with pytest.raises(SchemaError, match=r"9 partition\(s\).*2013-03-05.* And 4 more\.") as caught:
        ingest_range("trips", "2013-03-01", "2013-03-09", runtime=runtime)
    assert "2013-03-06" not in str(caught.value)


def test_a_source_that_is_not_there_says_what_to_do(world: World) -> None:
    with pytest.raises(SourceError, match=r"trips/\*\.csv.*HOLDFAST_SOURCES"):
        ingest("trips", DAY, runtime=world({}))


def test_an_unknown_dataset_names_the_nearest(world: World) -> None:
    with pytest.raises(ConfigError, match="trips"):
        ingest("trip", DAY, runtime=world({}))


def test_the_shipped_flights_land(runtime: Runtime) -> None:
    record = ingest("flights", "2026-07-04", runtime=runtime)
    assert (record.n_rows, record.n_miscast, record.n_labels) == (737, 0, 983)
    assert record.labels_partition_key == "2026-07-03"
    raw = runtime.lake.read("flights", "raw")
    assert pc.count_distinct(raw["row_id"]).as_py() == 737
    assert pc.unique(pc.strftime(raw["event_time"], "%Y-%m-%d")).to_pylist() == ["2026-07-04"]
    for name in ("departure_minute", "scheduled_minutes", "distance", "temp", "visib"):
        assert raw[name].null_count == 0, name
    assert pc.min_max(raw["departure_minute"]).as_py() == {"min": 300, "max": 1439}
    assert "tailnum" not in raw.column_names


def test_a_flight_that_did_not_arrive_is_late(runtime: Runtime) -> None:
    ingest("flights", "2013-02-09", runtime=runtime)  # a blizzard was the day before
    labels = runtime.lake.read("flights", "labels", partitions=["2013-02-08"])
    missing = labels.filter(pc.is_null(labels["arrival_delay"]))
    assert missing.num_rows > 400
    assert set(missing["is_late"].to_pylist()) == {1}
    arrived = labels.filter(pc.is_valid(labels["arrival_delay"]))
    assert arrived["is_late"].equals(pc.greater_equal(arrived["arrival_delay"], 15).cast("int64"))


def test_the_shipped_bikes_land_from_a_table_of_their_columns(bikes: Runtime) -> None:
    first, second = ingest_range("bikes", "2011-01-01", "2011-01-02", runtime=bikes)
    assert (first.n_rows, first.n_labels, first.labels_partition_key) == (24, 0, None)
    assert (second.n_rows, second.n_labels, second.labels_partition_key) == (24, 24, "2011-01-01")
    raw = bikes.lake.read("bikes", "raw", partitions=["2011-01-02"])
    assert sorted(t.hour for t in raw["event_time"].to_pylist()) == list(range(24))
    assert not {"cnt", "casual", "registered"} & set(raw.column_names)
