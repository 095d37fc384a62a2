"""Charts are well-formed whatever they are given, and are left out where there is nothing to draw."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element, fromstring

import pytest

from pipelines.monitoring.pages import charts
from pipelines.records import ColumnDrift, PerformanceEstimate


def _drift(distance: float, *, is_drifted: bool = False, threshold: float = 0.1) -> ColumnDrift:
    return ColumnDrift(
        column="x", method="wasserstein", distance=distance, threshold=threshold, is_drifted=is_drifted
    )


def _estimate(value: float, **changes: float) -> PerformanceEstimate:
    content = {"lower": value - 0.1, "upper": value + 0.1, "reference_value": 0.8} | changes
    return PerformanceEstimate.model_validate(
        content
        | {
            "metric": "auc",
            "value": value,
            "confidence": 0.9,
            "expected_loss": 0.0,
            "is_worse": False,
            "method": "confidence",
        }
    )


def _parsed(chart: str) -> Element:
    assert "nan" not in chart
    assert "inf" not in chart
    return fromstring(chart)  # noqa: S314


def _of(svg: Element, style: str) -> list[Element]:
    return [element for element in svg.iter() if element.get("class") == style]


@pytest.mark.parametrize(
    ("edges", "reference", "current"),
    [
        pytest.param((0, 1, 2), (0.5, 0.5), (0.1, 0.9), id="plain"),
        pytest.param((0, 1, 1, 2), (0.2, 0.6, 0.2), (0, 1, 0), id="a-bin-without-width"),
        pytest.param((-1e300, 0, 1e300), (0.5, 0.5), (0, 0), id="huge-and-one-side-empty"),
        pytest.param((0, 1, 2), (math.nan, 1), (0, math.inf), id="not-finite"),
    ],
)
def test_distributions_are_drawn(edges, reference, current) -> None:
    svg = _parsed(charts.densities(edges, reference, current))
    assert len(_of(svg, "ref")) == len(_of(svg, "cur")) == 1


@pytest.mark.parametrize(
    "edges",
    [(), (1.0,), (1.0, 1.0), (0.0, math.inf), (math.nan, 1.0)],
    ids=["none", "one", "flat", "inf", "nan"],
)
def test_without_bins_there_is_no_distribution(edges) -> None:
    assert charts.densities(edges, (1.0,), (1.0,)) == ""


def test_bars_of_levels_are_as_long_as_their_shares_and_few() -> None:
    labels = [f"level {number}" for number in range(50)]
    svg = _parsed(charts.shares(labels, [0.4] + [0.0] * 49, [0.2] + [0.0] * 49))
    before, now = _of(svg, "ref-bar"), _of(svg, "cur-bar")
    assert len(before) == len(now) == 16
    assert float(before[0].get("width", "")) == pytest.approx(2 * float(now[0].get("width", "")), rel=0.01)


def test_a_level_stays_text() -> None:
    svg = _parsed(charts.shares(["</text><script>alert(1)</script>"], [1.0], [1.0]))
    assert {element.tag for element in svg.iter()} == {"svg", "rect", "text"}


def test_drifted_nights_are_marked_and_the_floor_is_drawn() -> None:
    history = {"2013-07-01": _drift(0.05), "2013-07-02": None, "2013-07-03": _drift(0.4, is_drifted=True)}
    svg = _parsed(charts.distances(history))
    assert [element.text for element in svg.iter() if element.text == "▲"] == ["▲"]
    assert len(_of(svg, "floor")) == 1
    assert charts.distances({"2013-07-01": None}) == ""


def test_a_floor_of_zero_and_distances_of_nan_are_drawn() -> None:
    _parsed(charts.distances({"2013-07-01": _drift(math.nan, threshold=0.0)}))


def test_performance_shows_what_was_measured_and_what_was_expected() -> None:
    nights = ["2013-07-01", "2013-07-02", "2013-07-03"]
    svg = _parsed(charts.performance(nights, {nights[0]: 0.75}, {nights[2]: _estimate(0.7)}))
    assert len(_of(svg, "dot")) == len(_of(svg, "band")) == len(_of(svg, "promise")) == 1


def test_performance_of_one_value_or_none() -> None:
    _parsed(charts.performance(["2013-07-01"], {"2013-07-01": 0.0}, {}))
    _parsed(charts.performance(["2013-07-01"], {"2013-07-01": 0.7}, {"2013-07-01": _estimate(math.nan)}))
    assert charts.performance([], {}, {}) == ""
    assert charts.performance(["2013-07-01"], {"2013-07-01": math.nan}, {}) == ""
