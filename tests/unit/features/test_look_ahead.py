"""The check for look-ahead: it passes what is honest, and finds what is not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError
from pipelines.features.look_ahead import check_look_ahead
from pipelines.features.query import compute_features
from pipelines.records import partition_range

SPAN = partition_range("2013-03-10", "2013-03-21")
World = Any  # the NamedTuple of conftest.py, which can't be imported

NEWEST_BIKES = "AS INTEGER) AS last_known"
NEWEST_FLIGHTS = "AS INTEGER) AS last_known"


def check(world: World, sql: str, **options: int) -> list[str]:
    parts = {"config": world.config, "sql": sql}
    features = compute_features(world.events, world.labels, partitions=SPAN, **parts)
    return check_look_ahead(world.events, world.labels, features=features, **parts, **options)


@pytest.mark.parametrize("dataset", ["flights", "bikes"])
def test_the_shipped_queries_do_not_look_ahead(dataset: str, request: pytest.FixtureRequest) -> None:
    world = request.getfixturevalue(dataset)
    assert check(world, world.sql) == []


@pytest.mark.parametrize(
    ("dataset", "honest", "leaking", "columns"),
    [
        pytest.param(
            "flights",
            "AS INTEGER) AS last_known",
            "AS INTEGER) + 1 AS last_known",
            ["carrier_late_rate_7d", "origin_late_rate_7d", "dest_late_rate_7d", "route_delay_7d", "late_rate_1d"],
            id="labels-of-the-day-itself",
        ),
        pytest.param(
            "bikes",
            "AS INTEGER) AS last_known",
            "AS INTEGER) + 2 AS last_known",
            ["same_hour_1d", "mean_7d"],
            id="labels-of-the-day-after",
        ),
        pytest.param("bikes", "AS week_before", "+ 20 AS week_before", ["same_hour_7d"], id="labels-of-weeks-after"),
        pytest.param("bikes", "events.temp,", "count(*) OVER () AS temp,", ["temp"], id="events-of-later-days"),
        pytest.param(
            "flights", "events.carrier,\n    events.origin", "max(events.carrier || events.row_id) OVER () AS carrier,\n    events.origin",
            ["carrier"], id="a-category-from-later-days",
        ),
        pytest.param("bikes", "events.hum,", "min(events.instant) OVER () AS hum,", ["hum"], id="older-than-the-history"),
        pytest.param("bikes", "avg(hourly.cnt) AS mean_7d", "NULL AS mean_7d", [], id="nothing-at-all-is-honest"),
    ],
)  # fmt: skip
def test_a_column_that_uses_what_its_night_can_not_see_is_found(
    dataset: str, honest: str, leaking: str, columns: list[str], request: pytest.FixtureRequest
) -> None:
    world = request.getfixturevalue(dataset)
    assert honest in world.sql
    assert check(world, world.sql.replace(honest, leaking)) == columns


def test_one_sampled_day_is_enough_to_find_a_leak_of_every_day(bikes: World) -> None:
    leaking = bikes.sql.replace("events.temp,", "count(*) OVER () AS temp,")
    for seed in range(3):
        assert check(bikes, leaking, n_partitions=1, seed=seed) == ["temp"]


def test_features_of_other_events_are_all_suspect(bikes: World) -> None:
    parts = {"config": bikes.config, "sql": bikes.sql}
    features = compute_features(bikes.events, bikes.labels, partitions=SPAN, **parts).slice(1)
    found = check_look_ahead(bikes.events, bikes.labels, features=features, n_partitions=20, **parts)
    assert found == list(bikes.config.features.columns)


def test_no_features_are_no_clean_bill(bikes: World) -> None:
    parts = {"config": bikes.config, "sql": bikes.sql}
    nothing = pa.table({"row_id": pa.array([], pa.string()), "partition_key": pa.array([], pa.string())})
    with pytest.raises(ConfigError, match="no features to check"):
        check_look_ahead(bikes.events, bikes.labels, features=nothing, **parts)
