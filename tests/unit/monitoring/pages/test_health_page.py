"""Health says who needs a look first, and what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from watched_world import LAST, NIGHTS, verdict_of

from pipelines.ledger.figures import EpisodeFigures
from pipelines.monitoring.pages.facts import DatasetHealth
from pipelines.monitoring.pages.health import health_page
from pipelines.monitoring.pages.nights import NightLine, nights_page, report_page
from pipelines.pages.places import Places
from pipelines.records import Breaker, ValidationRecord

CALM, ALARM = verdict_of(NIGHTS[3], 3), verdict_of(LAST, 29)


def _figures(**changes) -> EpisodeFigures:
    content = {
        "n_open": 0,
        "n_last_30_days": 2,
        "mean_nights_to_detect": 1.5,
        "mean_nights_to_repair": None,
        "n_retrainings_30_days": 1,
        "budget": 4,
        "days_since_retraining": 6,
        "breaker": None,
    }
    return EpisodeFigures.model_validate(content | changes)


def _health(name: str = "trips", **changes) -> DatasetHealth:
    content = {"night": LAST, "drift": CALM, "figures": _figures(), "recent": {LAST: CALM}}
    return DatasetHealth(name, "Trips.", **(content | changes))


def _refused() -> ValidationRecord:
    return ValidationRecord(
        dataset="trips",
        partition_key=LAST,
        raw_digest="r",
        suite_digest="s",
        outcome="refused",
        n_in=9,
        n_published=0,
        n_quarantined=9,
        reasons=("Too many rows are bad.",),
    )


def _open_breaker() -> Breaker:
    return Breaker(
        dataset="trips",
        is_open=True,
        reason="Three challengers were refused.",
        actor="holdfast",
        changed_at=datetime(2013, 7, 11, tzinfo=UTC),
    )


def test_figures_of_a_calm_dataset(read) -> None:
    text = read(health_page([_health()], Places())).text
    for said in (
        "All calm",
        "1.5 nights",
        "1 of 4",
        "the last 6 days ago",
        "closedretraining is on",
        "2 in 30",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"drift": ALARM}, "Drift, confirmed", id="drift"),
        pytest.param({"validation": _refused()}, "Too many rows are bad.", id="refused"),
        pytest.param(
            {"figures": _figures(breaker=_open_breaker())},
            "holdfast retraining breaker close worse --reason '...'",
            id="breaker",
        ),
    ],
)
def test_what_needs_a_look_comes_first(read, changes, says) -> None:
    page = read(health_page([_health("calm"), _health("worse", **changes)], Places()))
    assert next(link for link in page.links if link.startswith("drift/")) == "drift/worse"
    assert "1 dataset needs a look" in page.text
    assert says in page.text


def test_a_drift_without_consequence_asks_for_nobody(read) -> None:
    recorded = ALARM.model_copy(update={"action": "record", "is_page": False})
    page = read(health_page([_health(drift=recorded)], Places()))
    assert "All calm" in page.text
    assert "Drift, recorded" in page.text


def test_a_dataset_without_nights_has_its_card(read) -> None:
    page = read(health_page([DatasetHealth("new", "New.")], Places(), notes=["old can't be shown: why"]))
    assert "No night yet" in page.text
    assert "old can't be shown: why" in page.text
    assert "No dataset has had a night yet" in read(health_page([], Places())).text


def test_the_list_of_nights_says_what_became_of_each(read) -> None:
    lines = [
        NightLine(LAST, _refused(), None, None, {}),
        NightLine(NIGHTS[3], None, None, CALM, {"Evidently: drift": "drift.html"}),
        NightLine(NIGHTS[2], None, None, None, {}),
    ]
    page = read(nights_page("trips", lines, Places(1), older=NIGHTS[2]))
    assert [state in page.text for state in ("Refused", "Calm", "No verdict")] == [True] * 3
    assert f"../show/trips/{NIGHTS[3]}/drift.html" in page.links
    assert page.links[-1] == f"../nights/trips?before={NIGHTS[2]}"


def test_a_report_is_shown_in_a_sandbox(read) -> None:
    html = report_page("trips", LAST, '"><script>.html', Places(3))
    page = read(html)
    assert 'sandbox="allow-scripts"' in html
    assert page.links[-1] == f"../../../reports/trips/{LAST}/%22%3E%3Cscript%3E.html"
