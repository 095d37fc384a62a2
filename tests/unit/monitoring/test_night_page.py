"""The night's summary says the verdict, runs nothing, and escapes whatever the data says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from pipelines.monitoring.night_page import night_page
from pipelines.records import ColumnDrift, DriftRecord, PerformanceRecord

_VOID = {"meta", "link", "br"}


class _Reader(HTMLParser):
    """Collects text, links and tags, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.links, self.tags, self._open = "", [], set(), []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _record(**overrides) -> DriftRecord:
    content = {
        "dataset": "toy",
        "partition_key": "2013-03-07",
        "model_version": "3",
        "window": ("2013-03-01", "2013-03-07"),
        "columns": (
            ColumnDrift(column="speed", method="wasserstein", distance=0.1, threshold=0.2, is_drifted=False),
            ColumnDrift(column="temp", method="wasserstein", distance=0.9, threshold=0.3, is_drifted=True),
        ),
        "drifted_fraction": 0.5,
        "alarm_fraction": 0.25,
        "performance_metric": "auc",
        "performance_value": 0.71,
        "performance_floor": 0.65,
        "kinds": ("data",),
        "is_alarm": True,
        "is_confirmed": True,
        "n_alarm_nights": 2,
    }
    return DriftRecord.model_validate(content | overrides)


@pytest.mark.parametrize(
    ("overrides", "headline"),
    [
        pytest.param({}, "Drift, confirmed on 2 nights", id="confirmed"),
        pytest.param({"is_confirmed": False}, "Drift alarm, not confirmed yet", id="alarm"),
        pytest.param({"is_confirmed": False, "is_alarm": False, "kinds": ()}, "Calm", id="calm"),
    ],
)
def test_headline_is_the_verdict(overrides, headline):
    assert headline in _Reader(night_page(_record(**overrides), None, {})).text


def test_farthest_column_comes_first_with_distance_and_threshold():
    text = _Reader(night_page(_record(), None, {})).text
    assert text.index("temp") < text.index("speed")
    assert "0.900" in text
    assert "50% of the features have drifted; the alarm is for more than 25%" in text


def test_links_and_performance_are_shown():
    performance = PerformanceRecord(
        dataset="toy",
        partition_key="2013-03-06",
        model_version="3",
        known_at="2013-03-07",
        labels_digest="a",
        predictions_digest="b",
        n_rows=920,
        metrics={"auc": 0.7321},
    )
    page = _Reader(night_page(_record(), performance, {"Validation": "validation.html"}))
    assert page.links == ["validation.html"]
    assert "2013-03-06 (920 rows" in page.text
    assert "0.7321" in page.text
    assert "0.7100; what the holdout makes plausible ends at 0.6500" in page.text


def test_night_without_labels_or_rows_says_so():
    record = _record(columns=(), performance_value=None, kinds=(), is_alarm=False, is_confirmed=False)
    text = _Reader(night_page(record, None, {})).text
    assert "No labels are in yet." in text
    assert "Too few rows to compare." in text
    assert "Not known yet." in text


def test_nothing_in_the_page_runs():
    attack = "</td><script>alert(1)</script>"
    column = ColumnDrift(column=attack, method=attack, distance=1, threshold=1, is_drifted=True)
    page = _Reader(night_page(_record(columns=(column,), model_version=attack), None, {attack: f'"{attack}'}))
    assert "script" not in page.tags
    assert attack in page.text
