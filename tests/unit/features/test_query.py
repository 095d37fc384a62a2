"""The features of the shipped datasets, and what a wrong query is told."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from histories import FIRST, LAST, World, days

from pipelines.config import PROJECT_ROOT, DatasetConfig
from pipelines.errors import ConfigError, NotReadyError
from pipelines.features.query import compute_features, load_features
from pipelines.records import partition_range, shift_partition
from pipelines.storage.lake import Lake

DAY = "2013-03-20"
Load = Callable[..., pa.Table]


def features_of(world: World, *partitions: str, labels: pa.Table | None = None, **changes: Any) -> pa.Table:
    config = DatasetConfig.model_validate(world.config.model_dump() | changes)
    known = world.labels if labels is None else labels
    return compute_features(world.events, known, config=config, sql=world.sql, partitions=partitions or [DAY])


def feature_of(features: pa.Table, row_id: str) -> dict[str, Any]:
    (found,) = features.filter(pc.equal(features["row_id"], row_id)).to_pylist()
    return dict(found)


def last_days(table: pa.Table, n_days: int) -> pa.Table:
    return days(table, shift_partition(DAY, -n_days), shift_partition(DAY, -1))


def test_every_event_gets_every_feature_by_its_type(world: World) -> None:
    features = features_of(world, DAY, LAST)
    config = world.config.features
    assert features.column_names == ["row_id", "partition_key", "event_time", *config.columns]
    assert {features[name].type for name in config.numeric} == {pa.float64()}
    assert {features[name].type for name in config.categorical} == {pa.string()}
    assert features["event_time"].type == pa.timestamp("us", tz="UTC")
    assert features["row_id"].to_pylist() == sorted(days(world.events, DAY, LAST)["row_id"].to_pylist())
    assert all(features[name].null_count == 0 for name in config.columns)


def test_rates_are_smoothed_means_of_the_seven_known_days(flights: World) -> None:
    found = feature_of(features_of(flights), f"{DAY}|03")
    week = last_days(flights.labels, 7)
    outcomes = week.join(flights.events.drop_columns(["partition_key"]), "row_id").to_pylist()
    overall = statistics.fmean(row["is_late"] for row in outcomes)
    for column in ("carrier", "origin", "dest"):
        group = [row["is_late"] for row in outcomes if row[column] == found[column]]
        smoothed = (sum(group) + 20 * overall) / (len(group) + 20)
        assert found[f"{column}_late_rate_7d"] == pytest.approx(smoothed), column
    arrived = [row for row in outcomes if row["arrival_delay"] is not None]
    mean = statistics.fmean(row["arrival_delay"] for row in arrived)
    same_route = [row for row in arrived if all(row[end] == found[end] for end in ("origin", "dest"))]
    route = [row["arrival_delay"] for row in same_route]
    assert found["route_delay_7d"] == pytest.approx((sum(route) + 20 * mean) / (len(route) + 20))


def test_the_rate_of_the_newest_day_is_that_of_all_its_flights(flights: World) -> None:
    found = feature_of(features_of(flights), f"{DAY}|03")
    assert found["late_rate_1d"] == pytest.approx(pc.mean(last_days(flights.labels, 1)["is_late"]).as_py())
    assert found["weekday"] == 3.0, "20 March 2013 was a Wednesday"


def test_without_labels_of_yesterday_the_newest_day_counts(flights: World) -> None:
    found = feature_of(features_of(flights, labels=days(flights.labels, FIRST, "2013-03-17")), f"{DAY}|03")
    newest = days(flights.labels, "2013-03-17", "2013-03-17")
    assert found["late_rate_1d"] == pytest.approx(pc.mean(newest["is_late"]).as_py())


def test_an_unknown_destination_gets_the_overall_rate(flights: World) -> None:
    position = flights.events.column_names.index("dest")
    is_today = pc.equal(flights.events["partition_key"], DAY)
    moved = flights.events.set_column(position, "dest", pc.if_else(is_today, "XNA", flights.events["dest"]))
    features = features_of(flights._replace(events=moved))
    overall = pc.mean(last_days(flights.labels, 7)["is_late"]).as_py()
    assert features["dest_late_rate_7d"].to_pylist() == pytest.approx([overall] * 20)
    assert pc.count_distinct(features["route_delay_7d"]).as_py() == 1


def test_before_the_first_label_there_is_no_rate(flights: World) -> None:
    features = features_of(flights, FIRST)
    assert features["late_rate_1d"].null_count == features["route_delay_7d"].null_count == 20
    assert features["distance"].null_count == 0


@pytest.mark.parametrize("delay", [1, 2, 9])
def test_bikes_look_back_from_the_newest_known_day(bikes: World, delay: int) -> None:
    found = feature_of(features_of(bikes, label_delay_days=delay), f"{DAY}|08")
    n_days = 19  # since the first
    assert found["same_hour_1d"] == 100 * (n_days - delay) + 8
    assert found["same_hour_7d"] == 100 * (n_days - max(delay, 7)) + 8
    assert found["mean_7d"] == pytest.approx(100 * (n_days - delay - 3) + 11.5)


@pytest.mark.parametrize("delay", [1, 2])
def test_labels_within_the_delay_change_nothing(world: World, delay: int) -> None:
    known = days(world.labels, FIRST, shift_partition(DAY, -delay))
    with_later = features_of(world, label_delay_days=delay)
    assert with_later.equals(features_of(world, labels=known, label_delay_days=delay))


def test_the_order_of_rows_changes_no_bit(flights: World) -> None:
    upside_down = [table.sort_by([("row_id", "descending")]) for table in (flights.events, flights.labels)]
    other = flights._replace(events=upside_down[0], labels=upside_down[1])
    assert features_of(other).equals(features_of(flights))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        pytest.param("SELEC", "syntax error", id="syntax"),
        pytest.param("SELECT nothing FROM events", "nothing", id="no-such-column"),
        pytest.param("SELECT CAST(row_id AS INT) FROM events", "Could not convert", id="fails-on-data"),
        pytest.param("SELECT 1; SELECT 2", "exactly one SELECT", id="two-statements"),
        pytest.param("SET threads = 8", "exactly one SELECT", id="no-select"),
        pytest.param("SELECT {ones} FROM events", "gives no column 'row_id'", id="no-key"),
        pytest.param("SELECT row_id, 1 AS hour FROM events", "'hr'; the nearest is 'hour'", id="near"),
        pytest.param("SELECT row_id FROM events", "no column 'hr'; it gives row_id", id="lacks-all"),
        pytest.param("SELECT row_id, 1 AS hr, 2 AS hr FROM events", "'hr' more than once", id="twice"),
        pytest.param("SELECT row_id, [1] AS hr FROM events", "'hr' can't be double", id="no-number"),
        pytest.param("SELECT row_id, {ones} FROM events LIMIT 3", "exactly once: for 24", id="too-few"),
        pytest.param("SELECT row_id, {ones} FROM events, range(2)", "48 rows with 24 keys", id="too-many"),
    ],
)
def test_a_wrong_query_is_named_with_what_is_wrong(bikes: World, select: str, message: str) -> None:
    ones = ", ".join(f"1 AS {name}" for name in bikes.config.features.columns)
    with pytest.raises(ConfigError, match=message) as caught:
        features_of(bikes._replace(sql=select.format(ones=ones)))
    assert "pipelines/features/sql/bikes.sql" in str(caught.value)


def test_what_is_not_finite_is_null(bikes: World) -> None:
    plain = [name for name in bikes.config.features.columns if name not in ("hr", "temp")]
    ones = ", ".join(f"1 AS {name}" for name in plain)
    sql = f"SELECT row_id, CAST('inf' AS DOUBLE) AS hr, CAST('nan' AS DOUBLE) AS temp, {ones} FROM events"
    features = features_of(bikes._replace(sql=sql))
    assert features["hr"].null_count == features["temp"].null_count == 24
    assert features["season"].to_pylist() == ["1"] * 24


@pytest.fixture
def lake(tmp_path: Path, flights: World) -> Lake:
    lake = Lake(str(tmp_path))
    for name, table in {"validated": flights.events, "labels": flights.labels}.items():
        by_day = {day: days(table, day, day) for day in partition_range(FIRST, LAST)}
        rows = {day: part.drop_columns(["partition_key"]) for day, part in by_day.items()}
        lake.replace_many("flights", name, rows)
    return lake


@pytest.fixture
def load(lake: Lake, flights: World) -> Load:
    def load_from_lake(*partitions: str, config: DatasetConfig = flights.config) -> pa.Table:
        return load_features(lake, "flights", config=config, project=PROJECT_ROOT, partitions=partitions)

    return load_from_lake


def test_features_from_the_lake_are_those_of_its_tables(load: Load, flights: World) -> None:
    recent = flights._replace(events=days(flights.events, "2013-03-12", DAY))
    assert load(DAY).equals(features_of(recent, labels=last_days(flights.labels, 8)))


def test_a_day_has_the_same_features_alone_as_among_many(load: Load) -> None:
    together = load(*partition_range("2013-03-05", LAST))
    for day in ("2013-03-05", "2013-03-13", LAST):
        alone, among = load(day), days(together, day, day)
        assert alone["row_id"].equals(among["row_id"])
        for name in ("carrier_late_rate_7d", "route_delay_7d", "late_rate_1d"):
            assert alone[name].to_pylist() == pytest.approx(among[name].to_pylist()), (day, name)


def test_a_partition_that_is_not_published_has_no_features(load: Load) -> None:
    assert load("2013-05-01").num_rows == 0


def test_nothing_published_is_not_ready(tmp_path: Path, flights: World) -> None:
    lake = Lake(str(tmp_path))
    with pytest.raises(NotReadyError, match="validated"):
        load_features(lake, "flights", config=flights.config, project=PROJECT_ROOT, partitions=[DAY])


def test_a_query_that_is_not_there_is_named(load: Load, flights: World) -> None:
    features = flights.config.features.model_copy(update={"sql": "none.sql"})
    with pytest.raises(ConfigError, match=r"features\.sql none\.sql can't be read"):
        load(DAY, config=flights.config.model_copy(update={"features": features}))


def test_no_partitions_are_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="No partition of flights"):
        load()
