"""The map puts first what matters, tells states apart by mark and word, and is never large."""

from __future__ import annotations

import re

import pytest
from watched_world import DATASET, HOSTILE, LAST, NIGHTS, REASON

from pipelines.monitoring.pages.column import column_page
from pipelines.monitoring.pages.drift import drift_page
from pipelines.monitoring.pages.facts import ColumnFacts, Histogram
from pipelines.monitoring.pages.heat_map import COLUMNS_A_PAGE, column_rows, level
from pipelines.pages.places import Places
from pipelines.records import ColumnDrift, DataBug, DriftRecord, LevelDrift


def _drift(**changes) -> ColumnDrift:
    content = {
        "column": "temp",
        "method": "wasserstein",
        "distance": 0.5,
        "threshold": 0.1,
        "is_drifted": True,
        "q_value": 0.001,
    }
    return ColumnDrift.model_validate(content | changes)


@pytest.mark.parametrize(
    ("changes", "hot"),
    [
        pytest.param({"is_drifted": False, "distance": 0.02}, 1, id="calm"),
        pytest.param({"is_drifted": False, "distance": 0.2}, 2, id="moved-by-chance"),
        pytest.param({"distance": 0.2}, 3, id="drifted"),
        pytest.param({"distance": 0.3001}, 4, id="three-floors"),
        pytest.param({"distance": 5.0}, 5, id="far"),
        pytest.param({"distance": 0.2, "threshold": 0.0}, 5, id="no-floor"),
    ],
)
def test_how_hot_a_cell_is(changes, hot) -> None:
    assert level(_drift(**changes)) == hot


def test_columns_that_matter_come_first(make_history) -> None:
    rows = [row.column for row in column_rows(make_history())]
    assert rows[:2] == ["late_rate_7d", "temp"]
    assert rows[2:5] == ["humidity", "carrier", HOSTILE]


def test_what_moved_farthest_of_a_column_is_its_cell(make_history) -> None:
    history = make_history()
    far = _drift(column="temp", method="missing_share", distance=0.9, threshold=0.02)
    newest = history.records[LAST]
    changed = newest.model_copy(update={"columns": (*newest.columns, far)})
    rows = column_rows(make_history(records={**history.records, LAST: changed}))
    assert next(row for row in rows if row.column == "temp").worst[LAST].method == "missing_share"


def test_the_page_says_what_why_and_what_is_done(make_history, read) -> None:
    page = read(drift_page(make_history(), Places(1)))
    assert REASON in page.text
    assert "A new model is asked for, within cooldown and budget." in page.text
    assert "Evidently’s default" in page.text
    assert f"../drift/{DATASET}/{LAST}/temp" in page.links
    assert f"../night/{DATASET}/{LAST}" in page.links


def test_each_state_has_a_mark_and_a_word_of_its_own(make_history) -> None:
    html = drift_page(make_history(), Places(1))
    cells = set(re.findall(r'<td class="(h\d)"><a href="../drift/[^>]*: ([^"]*)">(.)</a>', html))
    marks = {(style, mark) for style, _, mark in cells}
    assert {("h1", "·"), ("h2", "○"), ("h3", "▲"), ("h4", "◆")} <= marks
    words = {style: word for style, word, _ in cells}
    assert len(set(words.values())) == len(words)


def test_a_verdict_is_read_out_as_what_it_is(make_history) -> None:
    history = make_history()
    recorded = history.records[LAST].model_copy(update={"action": "record"})
    html = drift_page(make_history(records={**history.records, LAST: recorded}), Places(1))
    assert f'aria-label="Verdict {LAST}: Drift, recorded">◇</a>' in html
    assert 'aria-label="Verdict 2013-07-10: Drift, confirmed">◆</a>' in html
    assert f'aria-label="Performance {LAST}: drifted">◆</a>' in html


def test_a_night_that_was_not_judged_is_empty_and_said_to_be(make_history, read) -> None:
    history = make_history()
    records = {night: record for night, record in history.records.items() if night != LAST}
    html = drift_page(make_history(records=records), Places(1))
    assert html.count('aria-label="not judged"') >= 11
    assert f"/{LAST}/temp" not in html


def test_a_history_without_nights_says_so(make_history, read) -> None:
    assert "No night was judged yet" in read(drift_page(make_history(nights=(), records={}), Places(1))).text


@pytest.mark.parametrize(
    "name", ["column {}", '"' * 10_000 + "{}", "🐸" * 5_000 + "{}"], ids=["short", "quotes", "wide"]
)
def test_a_thousand_columns_are_paged_and_the_page_stays_small(make_history, read, name) -> None:
    columns = tuple(
        _drift(column=name.format(number), importance=0.001, impact=number / 1000) for number in range(1000)
    )
    history = make_history()
    records = {
        night: record.model_copy(update={"columns": columns, "reasons": (name,) * 50})
        for night, record in history.records.items()
    }
    page = read(drift_page(make_history(records=records), Places(1)))
    assert sum(f"/{LAST}/" in link for link in page.links) == COLUMNS_A_PAGE
    more = next(link for link in page.links if "from=" in link)
    assert more.endswith(f"from={COLUMNS_A_PAGE}")
    last = read(drift_page(make_history(records=records, first_column=990), Places(1)))
    assert sum(f"/{LAST}/" in link for link in last.links) == 10


def _facts(**changes) -> ColumnFacts:
    record: DriftRecord = changes.pop("record")
    content = {"dataset": DATASET, "night": LAST, "column": "temp", "drifts": (_drift(),)}
    return ColumnFacts(**(content | {"record": record} | changes))


@pytest.mark.parametrize(
    ("drift", "says"),
    [
        pytest.param(
            {},
            "Drifted: its values moved 0.500 standard deviations from the reference (Wasserstein distance). "
            "That is 5.0 times the smallest move that matters (0.100), and more than calm nights explain "
            "(q = 0.0010, at a rate of 1.0%).",
            id="drifted",
        ),
        pytest.param(
            {"is_drifted": False, "distance": 0.05},
            "That is less than the smallest move that matters (0.100), but more than calm nights explain",
            id="significant-and-small",
        ),
        pytest.param(
            {"is_drifted": False, "q_value": 0.5},
            "That is 5.0 times the smallest move that matters (0.100), but no more than calm nights explain",
            id="large-and-by-chance",
        ),
        pytest.param(
            {"method": "missing_share", "distance": 0.25, "threshold": 0.02},
            "its share of missing values changed by 25%",
            id="missing",
        ),
        pytest.param(
            {"method": "new_levels", "distance": 0.25}, "25% more of its values are levels", id="new"
        ),
        pytest.param({"method": "new_measure"}, "it moved by 0.500", id="a-measure-from-tomorrow"),
    ],
)
def test_the_reason_is_a_sentence(make_history, read, drift, says) -> None:
    facts = _facts(record=make_history().records[LAST], drifts=(_drift(**drift),))
    assert says in read(column_page(facts, Places(3))).text


def test_a_column_page_shows_distribution_levels_fault_and_meaning(make_history, read) -> None:
    bug = DataBug(
        column="temp",
        signature="unit_change",
        explanation="It looks like Fahrenheit.",
        first_partition=LAST,
        n_rows=9,
        share=1.0,
    )
    record = make_history().records[LAST].model_copy(update={"bugs": (bug,), "action": "investigate"})
    levels = (LevelDrift(level=None, reference_share=0.0, current_share=0.2, p_value=1e-9),)
    page = read(
        column_page(
            _facts(
                record=record,
                drifts=(_drift(importance=0.2, levels=levels, statistics={"ks": 0.3}),),
                histogram=Histogram((), ("JFK", "EWR"), (0.5, 0.5), (0.1, 0.9)),
                history=dict.fromkeys(NIGHTS, _drift()),
                before="2013-07-10",
                pages={"Evidently: drift": "drift.html"},
            ),
            Places(3),
        )
    )
    for said in (
        "EWR",
        "never seen before",
        "It looks like Fahrenheit.",
        "About 20% of the champion’s skill",
        "A person has to look",
        "Kolmogorov-Smirnov",
    ):
        assert said in page.text
    assert f"../../../drift/{DATASET}/2013-07-10/temp" in page.links
    assert f"../../../show/{DATASET}/{LAST}/drift.html" in page.links


@pytest.mark.parametrize("text", [HOSTILE, '"><svg onload=alert(1)>', "'" * 10_000, "🐸" * 10_000])
def test_a_column_page_escapes_and_stays_small(make_history, read, text) -> None:
    record = make_history().records[LAST].model_copy(update={"reasons": (text,) * 100})
    levels = tuple(
        LevelDrift(level=text, reference_share=0.1, current_share=0.2, p_value=0.1) for _ in range(1000)
    )
    drifts = tuple(_drift(column=text, method=text, levels=levels) for _ in range(4))
    histogram = Histogram((), (text,) * 30, (0.1,) * 30, (0.1,) * 30)
    page = read(
        column_page(_facts(record=record, column=text, drifts=drifts, histogram=histogram), Places(3))
    )
    assert text[:20] in page.text
