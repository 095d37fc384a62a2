"""The check for look-ahead: it passes what is honest, and finds what is not."""

from __future__ import annotations

import pyarrow as pa
import pytest
from histories import World

from pipelines.errors import ConfigError
from pipelines.features.look_ahead import check_look_ahead
from pipelines.features.query import compute_features
from pipelines.records import partition_range

SPAN = partition_range("2013-03-10", "2013-03-21")
# What makes a query count the labels of the night itself.
SAME_DAY = ("AS INTEGER) AS last_known", "AS INTEGER) + 1 AS last_known")
RATES = ["carrier_late_rate_7d", "origin_late_rate_7d", "dest_late_rate_7d", "route_delay_7d", "late_rate_1d"]


def check(world: World, sql: str, **options: int) -> list[str]:
    features = compute_features(world.events, world.labels, config=world.config, sql=sql, partitions=SPAN)
    return check_look_ahead(
        world.events, world.labels, config=world.config, sql=sql, features=features, **options
    )


def bikes_with(world: World, column: str, expression: str) -> str:
    """Return the query of the bikes, with another expression for one feature."""
    places = "SELECT row_id, instant, partition_date FROM events"
    return (
        f"SELECT * EXCLUDE (instant, partition_date) REPLACE ({expression} AS {column}) "
        f"FROM ({world.sql}) JOIN ({places}) AS e USING (row_id)"
    )


def test_the_shipped_queries_do_not_look_ahead(world: World) -> None:
    assert check(world, world.sql) == []


def test_labels_of_the_night_itself_are_found_in_flights(flights: World) -> None:
    assert check(flights, flights.sql.replace(*SAME_DAY)) == RATES


def test_labels_of_the_night_itself_are_found_in_bikes(bikes: World) -> None:
    assert check(bikes, bikes.sql.replace(*SAME_DAY)) == ["same_hour_1d", "mean_7d"]


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        pytest.param("temp", "count(*) OVER ()", id="events-of-later-days"),
        pytest.param("season", "max(row_id) OVER ()", id="a-category-of-later-days"),
        pytest.param("hum", "min(instant) OVER ()", id="what-is-older-than-the-history"),
        pytest.param(
            "mean_7d",
            "CASE WHEN max(partition_date) OVER () = partition_date THEN 1 END",
            id="null-where-there-are-later-days",
        ),
        pytest.param(
            "windspeed",
            "(SELECT max(cnt) FROM labels WHERE labels.partition_date <= e.partition_date + 2)",
            id="labels-of-two-days-after",
        ),
    ],
)
def test_a_column_that_uses_what_its_night_can_not_see_is_found(
    bikes: World, column: str, expression: str
) -> None:
    assert check(bikes, bikes_with(bikes, column, expression)) == [column]


def test_a_column_of_nulls_is_honest(bikes: World) -> None:
    assert check(bikes, bikes_with(bikes, "mean_7d", "NULL")) == []


def test_one_sampled_day_is_enough_to_find_a_leak_of_every_day(bikes: World) -> None:
    leaking = bikes_with(bikes, "temp", "count(*) OVER ()")
    for seed in range(3):
        assert check(bikes, leaking, n_partitions=1, seed=seed) == ["temp"]


def test_features_of_other_events_are_all_suspect(bikes: World) -> None:
    parts = {"config": bikes.config, "sql": bikes.sql}
    features = compute_features(bikes.events, bikes.labels, partitions=SPAN, **parts).slice(1)
    found = check_look_ahead(bikes.events, bikes.labels, features=features, n_partitions=20, **parts)
    assert found == list(bikes.config.features.columns)


def test_no_features_are_no_clean_bill(bikes: World) -> None:
    nothing = pa.schema([("row_id", pa.string()), ("partition_key", pa.string())]).empty_table()
    with pytest.raises(ConfigError, match="no features to check"):
        check_look_ahead(bikes.events, bikes.labels, config=bikes.config, sql=bikes.sql, features=nothing)
