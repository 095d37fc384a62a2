"""A window is held against the days of the reference that are like its own."""

from __future__ import annotations

import pytest

from pipelines.config import MonitoringConfig
from pipelines.monitoring.significance.matching import matching_days
from pipelines.records import partition_range

YEAR = partition_range("2013-01-01", "2013-12-31")


@pytest.mark.parametrize(
    ("match", "window", "n_days", "first"),
    [
        pytest.param("none", ["2014-01-01"], 365, "2013-01-01", id="all-days"),
        pytest.param("weekday", ["2014-01-05"], 52, "2013-01-06", id="sundays-with-sundays"),
        pytest.param("weekday", partition_range("2014-01-01", "2014-01-07"), 365, "2013-01-01", id="a-week"),
        pytest.param("season", ["2014-07-01"], 91, "2013-05-17", id="a-summer-with-its-summer"),
        pytest.param("season", ["2014-01-01"], 91, "2013-01-01", id="a-season-crosses-the-new-year"),
    ],
)
def test_days_like_the_window_are_chosen(match, window, n_days, first):
    found, note = matching_days(YEAR, window, MonitoringConfig(match=match))
    assert (len(found), found[0], note) == (n_days, first, "")


def test_too_few_days_that_match_are_said_and_all_are_taken():
    found, note = matching_days(YEAR[:60], ["2013-07-01"], MonitoringConfig(match="season"))
    assert found == tuple(YEAR[:60])
    assert note.startswith("The reference has 0 days of the same season as the window, of 7 that are needed")
