"""Which day of the source a partition reads."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.ingestion.calendar import source_date


@pytest.mark.parametrize(
    ("partition_key", "replay_year", "day"),
    [
        pytest.param("2026-11-20", None, date(2026, 11, 20), id="without-replay-its-own-day"),
        pytest.param("2026-11-20", 2013, date(2013, 11, 20), id="same-day-of-the-replay-year"),
        pytest.param("2024-02-29", 2013, date(2013, 2, 28), id="leap-day-reads-the-day-before"),
        pytest.param("2024-02-29", 2012, date(2012, 2, 29), id="leap-day-of-a-leap-year"),
        pytest.param("2013-01-01", 2013, date(2013, 1, 1), id="the-replay-year-itself"),
    ],
)
def test_a_partition_reads_its_day(partition_key: str, replay_year: int | None, day: date) -> None:
    assert source_date(partition_key, replay_year) == day


@given(st.dates(min_value=date(1900, 1, 1)))
def test_replay_reads_every_date_of_every_year(day: date) -> None:
    read = source_date(day.isoformat(), 2013)
    assert (read.year, read.month) == (2013, day.month)
    assert read.day == day.day or (day.month, day.day) == (2, 29)


def test_a_key_that_is_no_date_is_refused() -> None:
    with pytest.raises(ConfigError, match="2013-02-30"):
        source_date("2013-02-30", None)
