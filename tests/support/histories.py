"""Three weeks of published events and known labels, as the lake holds them, for the shipped datasets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import PROJECT_ROOT, DatasetConfig, load_params
from pipelines.records import partition_date, partition_range

FIRST, LAST = "2013-03-01", "2013-03-21"

Rows = list[dict[str, Any]]


class World(NamedTuple):
    """One dataset: its configuration, its query, and three weeks of events and labels."""

    config: DatasetConfig
    sql: str
    events: pa.Table
    labels: pa.Table


def flights() -> World:
    """Return twenty made-up flights a day, of which the eighth never arrives."""
    return _world("flights", *_flights(np.random.default_rng(1)))


def bikes() -> World:
    """Return every hour; the count tells its day and hour: ``100 * n_days + hour``."""
    return _world("bikes", *_bikes())


def days(table: pa.Table, first: str, last: str) -> pa.Table:
    """Return the rows of the partitions from ``first`` to ``last``."""
    return table.filter(pc.is_in(table["partition_key"], pa.array(partition_range(first, last))))


def _world(dataset: str, events: Rows, labels: Rows) -> World:
    config = load_params(PROJECT_ROOT / "params.yaml").datasets[dataset]
    sql = (PROJECT_ROOT / config.features.sql).read_text()
    return World(config, sql, pa.Table.from_pylist(events), pa.Table.from_pylist(labels))


def _flights(chance: np.random.Generator) -> tuple[Rows, Rows]:
    events, labels = [], []
    for day in partition_range(FIRST, LAST):
        for number in range(20):
            plain = _event(day, number) | {"scheduled_at": _at(day, number), "flight": number}
            plain |= {"departure_minute": 60 * number, "scheduled_minutes": 90, "distance": 500.0}
            choices = {"carrier": ["UA", "AA"], "origin": ["EWR", "JFK"], "dest": ["BOS", "IAH"]}
            place = {name: str(chance.choice(options)) for name, options in choices.items()}
            names = ("temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")
            events.append(plain | place | {name: float(chance.normal(50)) for name in names})
            delay = None if number == 7 else float(chance.normal(5, 30))
            is_late = int(delay is None or delay >= 15)
            labels.append(_label(day, number) | {"is_late": is_late, "arrival_delay": delay})
    return events, labels


def _bikes() -> tuple[Rows, Rows]:
    events, labels = [], []
    plain = {"season": 1, "holiday": 0, "weekday": 1, "workingday": 1, "weathersit": 1}
    plain_floats = {"temp": 0.5, "hum": 0.5, "windspeed": 0.1}
    for n_days, day in enumerate(partition_range(FIRST, LAST)):
        for hour in range(24):
            key = {"instant": 24 * n_days + hour, "dteday": partition_date(day), "hr": hour}
            events.append(_event(day, hour) | key | plain | plain_floats)
            labels.append(_label(day, hour) | {"cnt": 100 * n_days + hour})
    return events, labels


def _event(day: str, number: int) -> dict[str, Any]:
    return _label(day, number) | {"event_time": _at(day, number)}


def _label(day: str, number: int) -> dict[str, Any]:
    return {"row_id": f"{day}|{number:02}", "partition_key": day}


def _at(day: str, number: int) -> datetime:
    return datetime.combine(partition_date(day), datetime.min.time(), UTC) + timedelta(hours=number)
