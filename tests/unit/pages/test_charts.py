"""A chart is well-formed whatever its points are, names its axes and series, and shows every point."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element, fromstring

import pytest

from pipelines.pages.charts import draw
from pipelines.pages.document import Chart, Series, Style
from pipelines.pages.drawing import Axis, round_ticks


def _chart(*series: Series, **changes: object) -> Chart:
    return Chart("Title", "recall", "precision", series, **changes)  # type: ignore[arg-type]


def _parsed(chart: Chart) -> Element:
    drawn = draw(chart)
    assert "nan" not in drawn
    assert "inf" not in drawn
    return fromstring(drawn)  # noqa: S314


def _texts(svg: Element) -> list[str]:
    return [element.text or "" for element in svg.iter("text")]


def _of(svg: Element, style: str) -> list[Element]:
    return [element for element in svg.iter() if element.get("class") == style]


def test_axes_and_series_are_named_and_the_naive_line_is_told_from_the_model() -> None:
    svg = _parsed(
        _chart(
            Series("the model", [(0.0, 0.9), (1.0, 0.3)]),
            Series("guessing", [(0.0, 0.3), (1.0, 0.3)], "naive"),
        )
    )
    assert {"recall", "precision", "the model", "guessing"} <= set(_texts(svg))
    assert svg.get("aria-label") == "Title: precision by recall"
    assert [len(_of(svg, style)) for style in ("cur", "naive")] == [2, 2], (
        "a sample in the legend, and a line"
    )


@pytest.mark.parametrize(
    ("style", "mark"),
    [
        pytest.param("dots", "h0", id="dots"),
        pytest.param("rings", "<circle", id="rings"),
        pytest.param("crosses", "l7 7", id="crosses"),
    ],
)
def test_each_point_has_a_mark_and_the_legend_has_one(style: Style, mark: str) -> None:
    drawn = draw(_chart(Series("a", [(0.0, 1.0), (1.0, 2.0), (2.0, 0.5)], style)))
    assert drawn.count(mark) == 3 + 1


@pytest.mark.parametrize(
    "points",
    [
        pytest.param([(0.0, 0.5)], id="one"),
        pytest.param([(1.0, 2.0)] * 3, id="all-the-same"),
        pytest.param([(0.0, math.nan), (1.0, 1.0), (math.inf, 2.0), (2.0, 3.0)], id="some-not-finite"),
        pytest.param([(0.0, -1e300), (1.0, 1e300)], id="huge"),
        pytest.param([(0.0, 1e-300), (1.0, 2e-300)], id="tiny"),
    ],
)
@pytest.mark.parametrize("style", ["line", "dots"])
def test_odd_points_are_drawn(points: list[tuple[float, float]], style: Style) -> None:
    assert _texts(_parsed(_chart(Series("a", points, style))))


@pytest.mark.parametrize("points", [[], [(math.nan, 1.0)], [(0.0, math.inf)]], ids=["none", "nan", "inf"])
def test_without_a_finite_point_there_is_no_drawing(points: list[tuple[float, float]]) -> None:
    assert draw(_chart(Series("a", points))) == ""


def test_very_many_points_are_thinned_out_from_end_to_end() -> None:
    whole = [(float(n), float(n)) for n in range(100_000)]
    svg = _parsed(_chart(Series("a", whole, "dots")))
    places = _of(svg, "points many")[-1].get("d", "").split("h0")[:-1]
    assert len(places) == 500
    ends = [_of(_parsed(_chart(Series("a", [whole[0], whole[-1]], "dots"))), "points")[-1].get("d", "")]
    assert ends[0].split("h0")[:-1] == [places[0], places[-1]]


def test_days_are_named_at_the_ends_and_in_the_middle() -> None:
    days = [f"2013-01-{day:02d}" for day in range(1, 15)]
    svg = _parsed(_chart(Series("a", [*enumerate([0.5] * 14)], "dots"), steps=days))
    assert [text for text in _texts(svg) if text in days] == ["2013-01-01", "2013-01-07", "2013-01-14"]


def test_an_axis_reaches_what_it_must_show() -> None:
    texts = _texts(_parsed(_chart(Series("a", [(0.0, 0.4), (1.0, 0.5)]), y_shown=(0.0, 1.0))))
    assert {"0", "0.5", "1"} <= set(texts)


def test_texts_stay_texts() -> None:
    svg = _parsed(
        Chart("<script>", "</text><script>", '"><b>', [Series("<i>", [(0.0, 1.0)])], steps=["<script>"])
    )
    assert {element.tag for element in svg.iter()} == {"svg", "text", "line", "path"}


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        pytest.param(0.13, 0.94, [0.2, 0.4, 0.6, 0.8], id="shares"),
        pytest.param(-3.0, 12.0, [0.0, 5.0, 10.0], id="around-zero"),
        pytest.param(0.6501, 0.6549, [0.651, 0.652, 0.653, 0.654], id="close-together"),
        pytest.param(2.0, 2.0, [2.0], id="one"),
        pytest.param(-math.inf, 1.0, [-math.inf], id="not-finite"),
    ],
)
def test_ticks_are_round_figures(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == ticks


def test_an_axis_leaves_room_at_both_ends_also_for_one_value() -> None:
    axis = Axis.around([5.0], 0.0, 100.0)
    assert axis.at(5.0) == pytest.approx(50.0)
    wide = Axis.around([0.0, 1.0], 0.0, 100.0)
    assert 0.0 < wide.at(0.0) < wide.at(1.0) < 100.0
