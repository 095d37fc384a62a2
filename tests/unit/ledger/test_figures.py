"""The figures of incidents and retrainings."""

from __future__ import annotations

import pytest

from pipelines.config import RetrainingConfig
from pipelines.ledger.episodes import Incident
from pipelines.ledger.figures import episode_figures
from pipelines.ledger.ledger import Ledger
from pipelines.records import shift_partition

TODAY = "2013-07-31"


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


def episode(ledger, opened_for, *, detected_in=1, repaired_in=None, action="retrain"):
    incident = Incident(
        dataset="flights",
        partition_key=opened_for,
        first_alarm=shift_partition(opened_for, -detected_in),
        action=action,
        severity="warning",
        kinds=(),
        cause="c",
        consequence="q",
        next_step="n",
        model_version="1",
    )
    opened = ledger.episodes.open(incident)
    if repaired_in is not None:
        ledger.episodes.close(opened, night=shift_partition(opened_for, repaired_in), reason="calm")


def retrained(ledger, night, status):
    ledger.open_retraining("flights", night, status="requested", reason="r")
    ledger.update_retraining("flights", night, status=status)


def test_a_dataset_without_incidents_has_no_means(ledger):
    figures = episode_figures(ledger, "flights", today=TODAY)
    assert figures.model_dump() == {
        "n_open": 0,
        "n_last_30_days": 0,
        "mean_nights_to_detect": None,
        "mean_nights_to_repair": None,
        "n_retrainings_30_days": 0,
        "budget": 4,
        "days_since_retraining": None,
        "breaker": None,
    }


def test_means_are_over_what_calls_for_something_and_repairs_over_what_is_over(ledger):
    episode(ledger, "2013-04-01", detected_in=30, repaired_in=1)
    episode(ledger, "2013-06-01", detected_in=0, repaired_in=4)
    episode(ledger, "2013-07-02", detected_in=9, repaired_in=9, action="record")
    episode(ledger, "2013-07-15", detected_in=1, repaired_in=10, action="investigate")
    episode(ledger, "2013-07-30", detected_in=2)
    episode_after_today = episode_figures(ledger, "flights", today="2013-07-29")
    figures = episode_figures(ledger, "flights", today=TODAY)
    assert figures.n_open == 1
    assert episode_after_today.n_open == 0
    assert figures.n_last_30_days == 3
    assert figures.mean_nights_to_detect == pytest.approx((0 + 1 + 2) / 3)
    assert figures.mean_nights_to_repair == pytest.approx((4 + 10) / 2)


def test_retrainings_count_as_the_budget_does(ledger):
    retrained(ledger, "2013-07-01", "promoted")
    retrained(ledger, "2013-07-02", "refused")
    retrained(ledger, "2013-07-20", "failed")
    ledger.open_retraining("flights", "2013-07-21", status="suppressed", reason="cooldown")
    ledger.open_retraining("flights", "2013-07-28", status="requested", reason="r")
    figures = episode_figures(ledger, "flights", today=TODAY, config=RetrainingConfig(max_per_30_days=7))
    assert (figures.n_retrainings_30_days, figures.budget, figures.days_since_retraining) == (3, 7, 3)


def test_the_breaker_is_as_it_was_switched_last(ledger):
    switched = ledger.breakers.switch("flights", is_open=True, reason="3 refused", actor="holdfast")
    assert episode_figures(ledger, "flights", today=TODAY).breaker == switched
