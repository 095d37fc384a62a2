"""What the pages show is read from the record: the newest night, whichever was landed last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from watched_world import DATASET, HOSTILE, LAST, NIGHTS, make_watched_world, verdict_of

from pipelines.pages.places import column_id
from pipelines.records import IngestionRecord, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.drift_pages import COLUMNS_FILE, column_facts, drift_history
from pipelines.steps.pages import dataset_health, episode_of, recorded_nights, triggers_of


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    return make_watched_world(tmp_path / "home")


def _land(runtime: Runtime, *nights: str) -> None:
    for night in nights:
        runtime.ledger.record(
            IngestionRecord(
                dataset=DATASET, partition_key=night, source_uri="x", raw_digest=f"anew {night}", n_rows=1
            )
        )


def test_a_night_that_was_done_again_is_not_the_newest(world: Runtime) -> None:
    _land(world, NIGHTS[3])
    assert dataset_health(DATASET, runtime=world).night == LAST
    assert drift_history(DATASET, runtime=world).nights == tuple(NIGHTS)


def test_nights_are_found_however_far_apart(world: Runtime) -> None:
    far = [shift_partition(NIGHTS[0], -days) for days in (200, 900, 3000)]
    _land(world, *far)
    assert recorded_nights(DATASET, runtime=world, limit=40) == [*reversed(NIGHTS), *far]
    assert recorded_nights(DATASET, runtime=world, before=far[0], limit=1) == [far[1]]
    assert drift_history(DATASET, runtime=world).older == far[0]


def test_health_of_the_month(world: Runtime) -> None:
    health = dataset_health(DATASET, runtime=world)
    assert health.champion is not None
    assert health.champion.model_version == "3"
    assert health.performance is not None
    assert health.performance.partition_key == NIGHTS[-2]
    assert health.episode is not None
    assert health.episode.first_alarm == "2013-07-07"
    assert health.figures is not None
    assert health.figures.n_open == 1
    assert health.retraining is not None
    assert list(health.recent) == NIGHTS[-14:]


def test_a_verdict_for_a_second_champion_takes_the_place_of_the_first(world: Runtime) -> None:
    again = verdict_of(LAST, 29).model_copy(update={"model_version": "4", "is_alarm": False})
    world.ledger.record(again)
    assert drift_history(DATASET, runtime=world).records[LAST].model_version == "4"


def test_earlier_nights_are_shown_up_to_the_one_asked_for(world: Runtime) -> None:
    history = drift_history(DATASET, runtime=world, last=NIGHTS[9])
    assert history.nights == tuple(NIGHTS[:10])
    assert not history.newest
    assert history.episodes == ()
    assert history.triggers == ()


def test_all_about_a_column(world: Runtime) -> None:
    facts = column_facts(DATASET, NIGHTS[-2], column_id(HOSTILE), runtime=world)
    assert facts is not None
    assert facts.column == HOSTILE
    assert (facts.before, facts.after) == (NIGHTS[-3], LAST)
    assert list(facts.history)[-1] == NIGHTS[-2]
    assert facts.episode is not None
    assert [trigger.verdict for trigger in facts.triggers] == ["wait"]
    assert facts.histogram is not None
    assert len(facts.histogram.edges) == len(facts.histogram.current) + 1
    assert sum(facts.histogram.reference) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(
    ("night", "address"), [(LAST, "nosuch"), ("2012-01-01", "temp")], ids=["no-column", "no-verdict"]
)
def test_what_is_not_on_record_is_none(world: Runtime, night: str, address: str) -> None:
    assert column_facts(DATASET, night, address, runtime=world) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("{", id="half"),
        pytest.param("[]", id="a-list"),
        pytest.param("{}", id="without-the-column"),
        pytest.param(json.dumps({"temp": {"edges": "ab", "reference": ["x"]}}), id="no-numbers"),
        pytest.param(json.dumps({"temp": 3}), id="no-shape"),
    ],
)
def test_without_its_distribution_a_column_still_has_its_page(world: Runtime, content: str | None) -> None:
    path = world.settings.reports / DATASET / LAST / COLUMNS_FILE
    path.unlink()
    if content is not None:
        path.write_text(content)
    facts = column_facts(DATASET, LAST, "temp", runtime=world)
    assert facts is not None
    assert facts.histogram is None


def test_a_night_before_the_first_alarm_is_part_of_no_episode(world: Runtime) -> None:
    assert episode_of(world.ledger, DATASET, NIGHTS[0]) is None
    episode = episode_of(world.ledger, DATASET, "2013-07-07")
    assert episode is not None
    assert episode.opened_for == "2013-07-08"
    assert triggers_of(world.ledger, DATASET, NIGHTS[0], NIGHTS[9]) == ()
