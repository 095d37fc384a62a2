"""Late rows, replays, corrections and duplicates: they end in the right partition, whoever ingests when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trips
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from trips import DAY, line, table

from pipelines.config import DatasetConfig, Settings, load_settings
from pipelines.errors import SchemaError
from pipelines.ingestion import landed
from pipelines.ingestion.deliveries import Known, look_for_changes
from pipelines.ingestion.partitions import Reading
from pipelines.ingestion.sources import open_source
from pipelines.records import DeliveryRecord, IngestionRecord
from pipelines.runtime import Runtime
from pipelines.steps import landing
from pipelines.steps.ingest import ingest, ingest_range
from pipelines.storage.digest import table_digest

BEFORE, AFTER, LATER = "2013-03-03", "2013-03-05", "2013-03-20"
FIRST = {"1.csv": table(line(1, BEFORE), line(2, BEFORE)), "2.csv": table(line(3, DAY), line(4, DAY))}


class World:
    """A Runtime on the trips, and the folder that their files lie in."""

    def __init__(self, make_runtime: Callable[..., Runtime], folder: Path, overrides: dict[str, Any]) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.runtime = make_runtime({"datasets": {"trips": trips.CONFIG | overrides}})

    def deliver(self, **files: str) -> None:
        for name, text in files.items():
            (self._folder / f"{name.replace('_', '')}.csv").write_text(text)

    def drop(self, name: str) -> None:
        (self._folder / f"{name}.csv").unlink()

    def ingest(self, night: str) -> IngestionRecord:
        return ingest("trips", night, runtime=self.runtime)

    def rows(self, night: str, *columns: str, table: str = "raw") -> list[tuple[Any, ...]]:
        found = self.runtime.lake.read("trips", table, partitions=[night])
        return sorted(zip(*(found[name].to_pylist() for name in columns), strict=True), key=str)

    def digest(self, night: str) -> str:
        record = self.runtime.ledger.latest(IngestionRecord, "trips", night)
        assert record is not None
        return record.raw_digest


@pytest.fixture
def world(make_runtime: Callable[..., Runtime], tmp_path: Path) -> Callable[..., World]:
    return lambda **overrides: World(make_runtime, tmp_path / "home" / "sources" / "trips", overrides)


def source(**fields: Any) -> dict[str, Any]:
    return {"source": trips.CONFIG["source"] | fields}


def test_a_late_row_lands_in_its_own_night_which_is_told(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(_1=table(line(1, BEFORE)), _2=table(line(3, DAY)))
    ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    w.deliver(_3=table(line(5, AFTER), line(2, BEFORE)))
    record = w.ingest(AFTER)
    assert record.restated == (BEFORE, DAY), "the labels of the late row's night came with the next"
    assert w.rows(BEFORE, "id", "source_file") == [(1, "trips/1.csv"), (2, "trips/3.csv")]
    newest = w.runtime.ledger.latest(IngestionRecord, "trips", BEFORE)
    assert newest is not None
    assert (newest.n_rows, newest.restated_by) == (2, AFTER)
    assert w.rows(BEFORE, "row_id", table="labels") == [(f"{BEFORE}|Bonn|1",), (f"{BEFORE}|Bonn|2",)]


def test_a_late_row_of_long_ago_is_found_by_its_file(world: Callable[..., World]) -> None:
    w = world(**source(lookback_days=0))
    w.deliver(_1=FIRST["1.csv"])
    w.ingest(BEFORE)
    w.deliver(_2=table(line(9, LATER), line(7, BEFORE)))
    assert w.ingest(LATER).restated == (BEFORE,)
    assert w.rows(BEFORE, "id") == [(1,), (2,), (7,)]


def test_a_correction_supersedes_and_a_replay_changes_nothing(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"]})
    w.ingest(BEFORE)
    w.deliver(_2=table(line(1, BEFORE, riders="7"), line(2, BEFORE)))
    record = w.ingest(BEFORE)
    assert (record.n_read, record.n_rows, record.n_replayed, record.n_superseded) == (4, 2, 1, 1)
    assert w.rows(BEFORE, "id", "riders", "source_file") == [(1, 7, "trips/2.csv"), (2, 2, "trips/2.csv")]


def test_duplicates_within_one_file_all_land(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(_1=table(line(1, BEFORE), line(1, BEFORE), line(1, BEFORE, riders="3")))
    record = w.ingest(BEFORE)
    assert (record.n_read, record.n_rows, record.n_replayed, record.n_superseded) == (3, 3, 0, 0)
    assert [row[:2] for row in w.rows(BEFORE, "position", "riders")] == [(0, 2), (1, 2), (2, 3)]


def test_a_later_file_supersedes_all_duplicates_of_an_earlier_one(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(_1=table(line(1, BEFORE), line(1, BEFORE, riders="3")), _2=table(line(1, BEFORE)))
    record = w.ingest(BEFORE)
    assert (record.n_rows, record.n_replayed, record.n_superseded) == (1, 1, 1)


@pytest.mark.parametrize(
    ("column", "older", "newer"),
    [
        pytest.param("riders", "9", "10", id="declared-number"),
        pytest.param("tip", "9", "10", id="undeclared-number"),
        pytest.param("tip", "2013-03-04", "2013-03-05", id="undeclared-time"),
        pytest.param("booked", "2013-02-01", "2013-10-01", id="declared-date"),
        pytest.param("tip", "", "0", id="a-version-beats-none"),
    ],
)
@pytest.mark.parametrize("is_one_file", [True, False])
def test_the_largest_version_wins_whatever_its_file(
    world: Callable[..., World], column: str, older: str, newer: str, is_one_file: bool
) -> None:
    w = world(**source(version=column))
    new, old = (
        line(1, BEFORE, distance="2", **{column: newer}),
        line(1, BEFORE, distance="1", **{column: older}),
    )
    w.deliver(**({"_1": table(new, old)} if is_one_file else {"_1": table(new), "_2": table(old)}))
    record = w.ingest(BEFORE)
    assert w.rows(BEFORE, "distance") == [(2.0,)]
    assert (record.n_read, record.n_rows, record.n_superseded) == (2, 1, 1)


def test_rows_that_lack_their_key_are_never_taken_for_one_another(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(_1=table(line(1, BEFORE, id="")), _2=table(line(1, BEFORE, id="", riders="5")))
    assert w.ingest(BEFORE).n_rows == 2


def test_a_repeat_and_a_file_that_only_adds_other_nights_restate_nothing(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"], "_2": FIRST["2.csv"]})
    ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    w.deliver(_3=table(line(5, AFTER)))
    record = w.ingest(AFTER)
    again = w.ingest(AFTER)
    assert (record.restated, again.restated, again.digest) == ((), (), record.digest)
    ledger = w.runtime.ledger
    assert len(ledger.revisions(IngestionRecord, "trips")) == 3
    assert len(ledger.revisions(DeliveryRecord, "trips")) == 2


def test_a_backfill_of_an_old_night_leaves_the_others_whole(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"], "_2": FIRST["2.csv"]})
    w.ingest(DAY)
    before = w.digest(DAY)
    assert w.ingest(BEFORE).restated == ()
    assert w.digest(DAY) == before
    assert w.rows(DAY, "id") == [(3,), (4,)]


def test_a_corrected_label_lands_the_labels_anew_and_leaves_the_rows(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"], "_2": FIRST["2.csv"]})
    ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    raw = w.digest(BEFORE)
    w.deliver(_1=table(line(1, BEFORE, late="1"), line(2, BEFORE)), _3=table(line(5, AFTER)))
    assert w.ingest(AFTER).restated == (DAY,), "the night that brought the labels"
    assert w.digest(BEFORE) == raw
    assert w.rows(BEFORE, "late", table="labels") == [(0,), (1,)]


def test_a_file_that_goes_away_takes_nothing_with_it(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"], "_2": FIRST["2.csv"]})
    ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    w.drop("1")
    w.deliver(_3=table(line(5, AFTER), line(6, BEFORE)))
    assert w.ingest(AFTER).restated == ()
    assert w.rows(BEFORE, "id") == [(1,), (2,)], "what is left of the source is not the whole night"
    assert w.ingest(BEFORE).n_rows == 1, "whoever asks for the night itself gets what there is"


def test_a_corrected_file_that_lacks_a_column_leaves_its_night_and_is_looked_at_again(
    world: Callable[..., World],
) -> None:
    w = world()
    w.deliver(**{"_1": FIRST["1.csv"], "_2": FIRST["2.csv"]})
    ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    w.deliver(_1=table(line(1, BEFORE), line(8, BEFORE), header=trips.HEADER.replace("riders", "r")))
    w.deliver(_3=table(line(5, AFTER)))
    assert w.ingest(AFTER).restated == (DAY,), "the labels that came with it are whole"
    assert w.rows(BEFORE, "id") == [(1,), (2,)]
    w.deliver(_1=table(line(1, BEFORE), line(8, BEFORE)))
    assert w.ingest(AFTER).restated == (BEFORE,)


def test_whatever_the_order_of_the_nights_they_hold_the_same(world: Callable[..., World]) -> None:
    w = world()
    w.deliver(_1=table(line(1, BEFORE), line(2, DAY)), _2=table(line(1, BEFORE, riders="9"), line(3, AFTER)))
    ingest_range("trips", BEFORE, AFTER, runtime=w.runtime)
    together = [w.digest(night) for night in (BEFORE, DAY, AFTER)]
    for night in (AFTER, BEFORE, DAY, AFTER, DAY):
        w.ingest(night)
    assert [w.digest(night) for night in (BEFORE, DAY, AFTER)] == together
    assert len(w.runtime.ledger.revisions(IngestionRecord, "trips")) == 3


@pytest.mark.parametrize("limit", [2, 3])
def test_large_partitions_land_as_small_ones_do(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    lines = [line(n, BEFORE, late="" if n % 2 else "1") for n in range(8)]
    w = world()
    w.deliver(_1=table(*lines, lines[3]), _2=table(line(5, BEFORE, riders="8"), line(9, DAY)))
    small = ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    labels = w.rows(BEFORE, "row_id", table="labels")
    empty = w.runtime.lake.read("trips", "raw").slice(0, 0).drop_columns(["partition_key"])
    w.runtime.lake.replace("trips", "raw", BEFORE, empty)
    monkeypatch.setattr(landed, "MAX_SMALL_ROWS", limit)
    monkeypatch.setattr(landing, "MAX_SMALL_ROWS", limit)
    large = ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    assert [record.digest for record in large] == [record.digest for record in small]
    assert w.rows(BEFORE, "row_id", table="labels") == labels
    assert [position for (position,) in w.rows(BEFORE, "position")] == list(range(9))


# Tables without a time, a key, or with a file a night.


def test_without_a_time_a_night_holds_all_of_the_source(world: Callable[..., World]) -> None:
    w = world(event_time=None)
    w.deliver(_1=table(line(1, "whenever"), line(2, "")))
    record = w.ingest(DAY)
    assert w.rows(DAY, "row_id") == [(f"{DAY}|Bonn|1",), (f"{DAY}|Bonn|2",)]
    assert {str(at) for (at,) in w.rows(DAY, "event_time")} == {f"{DAY} 00:00:00+00:00"}
    assert (record.labels_partition_key, record.n_labels) == (BEFORE, 2)
    assert w.rows(BEFORE, "row_id", table="labels") == [(f"{BEFORE}|Bonn|1",), (f"{BEFORE}|Bonn|2",)]
    w.deliver(_2=table(line(3, "")))
    assert w.ingest(AFTER).restated == ()
    assert len(w.rows(AFTER, "id")) == 3
    assert len(w.rows(DAY, "id")) == 2, "as the source was that night"


def test_without_a_time_a_file_of_a_night_is_that_nights(world: Callable[..., World]) -> None:
    w = world(event_time=None, **source(tables={"trips": "trips/{partition_key}.csv"}))
    w.deliver(**{BEFORE: table(line(1, "")), DAY: table(line(2, ""), line(3, ""))})
    w.ingest(BEFORE)
    record = w.ingest(DAY)
    assert (w.rows(BEFORE, "id"), w.rows(DAY, "id")) == ([(1,)], [(2,), (3,)])
    assert (record.labels_partition_key, record.n_labels) == (BEFORE, 1)
    w.deliver(**{BEFORE: table(line(1, "", riders="9"))})
    assert w.ingest(DAY).restated == (BEFORE,)


def test_a_file_of_a_night_may_hold_late_rows_of_the_nights_before(world: Callable[..., World]) -> None:
    w = world(**source(tables={"trips": "trips/{year}-{month}-{day}.csv"}, lookback_days=2))
    w.deliver(**{BEFORE: table(line(1, BEFORE))})
    assert w.ingest(BEFORE).n_rows == 1
    w.deliver(**{DAY: table(line(2, DAY), line(3, BEFORE))})
    assert w.ingest(DAY).restated == (BEFORE,)
    assert (w.rows(BEFORE, "id"), w.rows(DAY, "id")) == ([(1,), (3,)], [(2,)])
    assert w.ingest(LATER).n_rows == 0


def test_a_file_of_a_night_that_can_not_be_read_refuses_that_night(world: Callable[..., World]) -> None:
    w = world(**source(tables={"trips": "trips/{partition_key}.csv"}, lookback_days=0))
    w.deliver(**{BEFORE: table(line(1, BEFORE)), DAY: ""})
    with pytest.raises(SchemaError, match=rf"1 landed\. {DAY}: .*{DAY}\.csv"):
        ingest_range("trips", BEFORE, DAY, runtime=w.runtime)
    assert w.rows(BEFORE, "id") == [(1,)]


def test_without_a_key_rows_are_known_by_what_they_hold(world: Callable[..., World]) -> None:
    w = world(key=[])
    twins = [line(1, BEFORE), line(1, BEFORE), line(2, BEFORE)]
    w.deliver(_1=table(*twins))
    record = w.ingest(BEFORE)
    ids = sorted(row_id for (row_id,) in w.rows(BEFORE, "row_id"))
    assert len(set(ids)) == 3
    assert sorted(row_id.rsplit("|", 1)[1] for row_id in ids) == ["1", "1", "2"]
    w.deliver(_2=table(*twins))
    again = w.ingest(BEFORE)
    assert (again.n_read, again.n_rows, again.n_replayed) == (6, record.n_rows, 3)
    assert sorted(row_id for (row_id,) in w.rows(BEFORE, "row_id")) == ids


def test_times_without_an_offset_are_of_the_sources_zone(world: Callable[..., World]) -> None:
    w = world(**source(timezone="Europe/Rome"))
    w.deliver(_1=table(line(1, f"{DAY} 00:30"), line(2, f"{DAY} 00:30+00:00")))
    w.ingest(BEFORE)
    w.ingest(DAY)
    assert w.rows(BEFORE, "id", "event_time")[0][0] == 1
    assert [str(at) for (at,) in w.rows(BEFORE, "event_time")] == [f"{BEFORE} 23:30:00+00:00"]
    assert w.rows(DAY, "id") == [(2,)]


def test_a_query_may_pass_on_where_its_rows_come_from(world: Callable[..., World], tmp_path: Path) -> None:
    w = world(**source(sql="trips.sql"))
    # A project of its own: the query must not land in the checkout.
    settings = w.runtime.settings.model_copy(update={"project": tmp_path})
    w.runtime = dataclasses.replace(w.runtime, settings=settings)
    (tmp_path / "trips.sql").write_text("SELECT * FROM trips")
    w.deliver(_1=table(line(1, BEFORE), "1,2"), _2=table(line(1, BEFORE, riders="9")))
    record = w.ingest(BEFORE)
    assert (record.n_rows, record.n_superseded, record.n_unreadable) == (2, 1, 1)
    assert w.rows(BEFORE, "source_file", "source_line") == [("trips/1.csv", 3), ("trips/2.csv", 2)]
    (tmp_path / "trips.sql").write_text(
        "SELECT * EXCLUDE (holdfast_file, holdfast_line, holdfast_reject) FROM trips"
    )
    record = w.ingest(BEFORE)
    assert (record.n_rows, record.n_superseded, record.n_unreadable) == (2, 0, 0)
    assert w.rows(BEFORE, "source_file", "source_line") == [(None, None)] * 2


@pytest.fixture(scope="module")
def source_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("merging")
    (root / "sources" / "trips").mkdir(parents=True)
    return load_settings(
        {"HOLDFAST_PROJECT": str(root), "HOLDFAST_HOME": str(root), "HOLDFAST_SOURCES": str(root / "sources")}
    )


def content_digest(settings: Settings, config: DatasetConfig, files: list[list[str]]) -> str:
    """Return the digest of a night's rows, whichever file and line each of them came from."""
    folder = settings.sources / "trips"
    for path in folder.iterdir():
        path.unlink()
    for number, lines in enumerate(files):
        (folder / f"{number:02d}.csv").write_text(table(*lines))
    with open_source(config, settings, days=[]) as opened:
        reading = Reading(opened, config)
        look_for_changes(reading, Known())
        (found,) = reading.partitions([DAY], opened.files, scratch=settings.home)
        rows = found.raw(config).read_all()
    return table_digest(rows.drop_columns(["source_file", "source_line", "position"]))


@hypothesis_settings(max_examples=12, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    st.permutations(range(6)),
    st.lists(st.integers(0, 6), max_size=3),
    st.lists(st.integers(0, 5), max_size=4),
)
def test_any_order_split_and_replay_of_rows_gives_the_same_content(
    source_settings: Settings, order: list[int], cuts: list[int], replayed: list[int]
) -> None:
    config = trips.config_of()
    lines = [line(number, f"{DAY} 10:00", riders="x" if number == 3 else "2") for number in range(6)]
    shuffled = [lines[number] for number in order]
    bounds = [0, *sorted(cuts), len(shuffled)]
    files = [shuffled[start:stop] for start, stop in pairwise(bounds)]
    files.append([lines[number] for number in dict.fromkeys(replayed)])
    assert content_digest(source_settings, config, files) == content_digest(source_settings, config, [lines])
