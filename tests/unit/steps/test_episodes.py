"""Episodes open with a confirmed alarm, get no milder, and close when calm; the record is the truth."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from drift_nights import DATASET, crown, verdict
from sample_drift import CONCEPT, ESTIMATE

from pipelines.errors import NotReadyError
from pipelines.records import (
    DataBug,
    RefitProbe,
    partition_range,
)
from pipelines.steps.episodes import close_episode, follow_episode
from pipelines.steps.incidents import incident_of

NIGHTS = partition_range("2013-07-01", "2013-07-20")


@pytest.fixture
def champion(runtime):
    crown(runtime.ledger)
    return runtime


def follow(runtime, *verdicts):
    """Record and follow one verdict after the other; return what the last one found."""
    found = None
    for record in verdicts:
        runtime.ledger.record(record)
        found = follow_episode(record, runtime=runtime)
    return found


def nights(*actions, first=0):
    return [verdict(NIGHTS[first + n], action) for n, action in enumerate(actions)]


def told(runtime):
    """Return the episodes, oldest first, without the stamps of the clock."""
    stamps = {"id", "opened_at", "closed_at"}
    found = runtime.ledger.episodes.list(DATASET)
    return [episode.model_dump(exclude=stamps) for episode in reversed(found)]


def test_an_episode_opens_with_a_confirmed_alarm_and_says_what_it_is_about(champion):
    first = verdict(NIGHTS[0], "retrain", is_confirmed=False, n_alarm_nights=1)
    assert follow(champion, first) is None
    episode = follow(champion, verdict(NIGHTS[1], "retrain", severity="critical"))
    assert (episode.first_alarm, episode.opened_for, episode.last_alarm) == (NIGHTS[0], NIGHTS[1], NIGHTS[1])
    assert (episode.status, episode.action, episode.severity) == ("open", "retrain", "critical")
    assert episode.cause == "Data drift on 2 nights (most: temp)."
    assert episode.consequence == "What it costs the model is not known before its labels are in."
    assert "A retraining is asked for" in episode.next_step


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(verdict(NIGHTS[0]), id="calm"),
        pytest.param(verdict(NIGHTS[0], "retrain", is_confirmed=False), id="not-confirmed"),
        pytest.param(verdict(NIGHTS[0], is_alarm=True, is_confirmed=True), id="calls-for-nothing"),
        pytest.param(verdict(NIGHTS[0], "retrain", version="2"), id="not-about-the-champion"),
    ],
)
def test_what_is_no_confirmed_alarm_about_the_champion_opens_nothing(champion, record):
    assert follow(champion, record) is None
    assert told(champion) == []


def test_a_night_before_the_first_champion_opens_nothing(runtime):
    assert follow(runtime, *nights("retrain")) is None


def test_an_episode_closes_after_calm_nights_in_a_row_and_only_then(champion):
    assert follow(champion, *nights("retrain", "none", "none", "retrain", "none", "none")).status == "open"
    closed = follow(champion, *nights("none", first=6))
    assert (closed.status, closed.closed_for) == ("closed", NIGHTS[6])
    assert closed.closing_reason == "calm for 3 nights"
    assert follow(champion, *nights("none", first=7)) is None


def test_an_alarm_that_is_not_confirmed_keeps_an_episode_open(champion):
    follow(champion, *nights("retrain", "none", "none"))
    assert follow(champion, verdict(NIGHTS[3], "retrain", is_confirmed=False)).last_alarm == NIGHTS[3]
    assert follow(champion, *nights("none", "none", first=4)).status == "open"


def test_nights_that_were_not_monitored_count_neither_way(champion):
    follow(champion, verdict(NIGHTS[0], "retrain"), verdict(NIGHTS[3]), verdict(NIGHTS[7]))
    assert follow(champion, verdict(NIGHTS[12])).closed_for == NIGHTS[12]


@pytest.mark.parametrize(
    ("actions", "ends_as"),
    [
        pytest.param(("record", "retrain"), "retrain", id="a-loss-shows"),
        pytest.param(("retrain", "record"), "retrain", id="never-milder"),
        pytest.param(("retrain", "investigate"), "investigate", id="a-fault-shows"),
        pytest.param(("investigate", "retrain"), "investigate", id="a-fault-is-not-trained-on"),
    ],
)
def test_an_episode_gets_more_serious_and_never_less(champion, actions, ends_as):
    episode = follow(champion, *nights(*actions))
    assert episode.action == ends_as
    assert len(told(champion)) == 1


def test_what_makes_an_episode_more_serious_tells_its_story(champion):
    follow(champion, verdict(NIGHTS[0], "record"))
    worse = verdict(NIGHTS[1], "retrain", kinds=("concept",), severity="critical", n_alarm_nights=3)
    episode = follow(champion, worse, verdict(NIGHTS[2], "record", n_alarm_nights=9))
    assert (episode.severity, episode.kinds) == ("critical", ("data", "concept"))
    assert episode.cause == "Concept drift on 3 nights (most: temp)."


def test_a_new_champion_ends_the_episode_of_the_one_before(champion):
    follow(champion, *nights("retrain", "retrain"))
    crown(champion.ledger, "2", night=NIGHTS[1])
    closed = follow(champion, verdict(NIGHTS[1], version="2"))
    assert (closed.closed_for, closed.closing_reason) == (NIGHTS[1], "version 2 is champion in its place")
    assert follow(champion, verdict(NIGHTS[2], "retrain", version="2")).model_version == "2"


def test_a_fault_of_the_data_outlives_the_champion(champion):
    follow(champion, *nights("investigate"))
    crown(champion.ledger, "2", night=NIGHTS[0])
    episode = follow(champion, verdict(NIGHTS[1], "investigate", version="2"))
    assert (episode.status, episode.last_alarm) == ("open", NIGHTS[1])
    assert len(told(champion)) == 1


def test_a_verdict_about_a_model_that_is_not_in_use_changes_nothing(champion):
    before = follow(champion, *nights("retrain"))
    assert follow(champion, verdict(NIGHTS[1], "investigate", version="7")) == before


def test_a_repeat_changes_nothing(champion):
    once = [follow(champion, record) for record in nights("retrain", "none", "none", "none")]
    again = [follow_episode(record, runtime=champion) for record in nights("retrain", "none", "none", "none")]
    assert once[-1] == again[-1]
    assert len(told(champion)) == 1


def test_calls_that_were_lost_are_made_up_for_by_the_next_one(champion, make_runtime, tmp_path):
    story = nights("retrain", "none", "retrain", "none", "none", "none", "record", "none")
    follow(champion, *story)
    deaf = make_runtime(home=tmp_path / "deaf")
    crown(deaf.ledger)
    for record in story:
        deaf.ledger.record(record)
    follow_episode(story[-1], runtime=deaf)
    assert told(deaf) == told(champion)
    assert len(told(champion)) == 2


@pytest.mark.parametrize("seed", range(6))
def test_once_all_nights_are_on_record_the_order_of_calls_changes_nothing(make_runtime, tmp_path, seed):
    story = nights("retrain", "none", "investigate", "none", "none", "none", "none")
    shuffled = random.Random(seed).sample(story * 2, 2 * len(story))
    worlds = []
    for name, calls in (("in-order", story), ("shuffled", shuffled)):
        world = make_runtime(home=tmp_path / name)
        crown(world.ledger)
        for record in story:
            world.ledger.record(record)
        for record in calls:
            follow_episode(record, runtime=world)
        worlds.append(told(world))
    assert worlds[0] == worlds[1]
    assert [episode["closed_for"] for episode in worlds[0]] == [NIGHTS[5]]


def test_a_late_night_does_not_open_an_episode_that_is_over(champion):
    follow(champion, *nights("none", "retrain", "none", "none", "none", first=1))
    assert follow(champion, verdict(NIGHTS[3], "retrain")) is None
    assert follow(champion, verdict(NIGHTS[0], "retrain")) is None
    assert len(told(champion)) == 1


def test_a_late_night_of_the_episode_can_make_it_more_serious(champion):
    follow(champion, verdict(NIGHTS[0], "retrain"), verdict(NIGHTS[2], "retrain"))
    episode = follow(champion, verdict(NIGHTS[1], "investigate"))
    assert (episode.action, episode.last_alarm) == ("investigate", NIGHTS[2])


def test_alarms_of_long_ago_open_nothing(champion):
    champion.ledger.record(verdict("2013-06-01", "retrain"))
    assert follow(champion, verdict(NIGHTS[0])) is None
    assert told(champion) == []


def test_an_old_verdict_without_an_action_opens_nothing(champion):
    old = verdict(NIGHTS[0], "retrain").model_dump(mode="json", exclude={"action", "severity"})
    assert follow(champion, type(verdict(NIGHTS[0])).model_validate(old)) is None


def test_many_who_follow_at_once_open_one_episode(champion, make_runtime):
    story = nights("retrain", "retrain", "none")
    for record in story:
        champion.ledger.record(record)
    followers = [make_runtime() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        calls = itertools.cycle(story)
        list(pool.map(lambda runtime: follow_episode(next(calls), runtime=runtime), followers))
    assert [episode["last_alarm"] for episode in told(champion)] == [NIGHTS[1]]


def test_a_person_closes_an_episode_and_a_later_alarm_opens_another(champion):
    follow(champion, *nights("investigate", "investigate", "none"))
    closed = close_episode(DATASET, runtime=champion, actor="ann", reason="the sensor is mended")
    assert (closed.closed_for, closed.closing_reason) == (NIGHTS[2], "by ann: the sensor is mended")
    assert follow(champion, *nights("none", first=3)) is None
    assert follow(champion, *nights("retrain", first=4)).opened_for == NIGHTS[4]
    assert [episode["action"] for episode in told(champion)] == ["investigate", "retrain"]


def test_there_must_be_an_open_episode_to_close(champion):
    with pytest.raises(NotReadyError, match="No episode of flights is open"):
        close_episode(DATASET, runtime=champion, actor="ann", reason="-")


def bug(column):
    return DataBug(
        column=column,
        signature="unit_change",
        explanation=f"{column} looks like Celsius.",
        first_partition=NIGHTS[0],
        n_rows=10,
        share=1.0,
    )


def test_a_fault_names_its_columns_and_what_to_do():
    record = verdict(NIGHTS[0], "investigate", bugs=tuple(map(bug, "abcde")))
    incident = incident_of(record, "investigate", first_alarm=NIGHTS[0])
    assert incident.cause.endswith("c looks like Celsius. And 2 more columns.")
    assert incident.next_step.startswith("Look at a, b, c of 2013-07-01: mend the source")


REFIT = RefitProbe(
    metric="auc",
    champion_value=0.72,
    refit_value=0.76,
    gain=0.04,
    lower=0.02,
    upper=0.06,
    confidence=0.9,
    n_days=7,
    n_rows=900,
    first_partition=NIGHTS[0],
    last_partition=NIGHTS[6],
    is_worth_it=True,
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param({"concept": CONCEPT, "estimate": ESTIMATE}, "is 0.600, where 0.750", id="measured"),
        pytest.param({"estimate": ESTIMATE}, "expected to be 0.700 (0.680 to 0.720)", id="estimated"),
        pytest.param(
            {"estimate": ESTIMATE.model_copy(update={"is_worse": False})}, "None is expected", id="none"
        ),
        pytest.param({"refit": REFIT}, "AUC 0.760 instead of 0.720 on 2013-07-01", id="a-refit-does-better"),
        pytest.param({}, "not known before its labels", id="unknown"),
    ],
)
def test_the_consequence_is_what_is_known_best(content, sentence):
    record = verdict(NIGHTS[0], "retrain", **content)
    assert sentence in incident_of(record, "retrain", first_alarm=NIGHTS[0]).consequence


def test_names_from_the_data_are_cut_and_steer_no_terminal():
    column = verdict(NIGHTS[0], "retrain").columns[0].model_copy(update={"column": "\x1b[2J" + 10_000 * "x"})
    cause = incident_of(
        verdict(NIGHTS[0], "retrain", columns=(column,)), "retrain", first_alarm=NIGHTS[0]
    ).cause
    assert len(cause) < 200
    assert cause.isprintable()


def again(night, action="retrain", **content):
    """Return the verdict of v1 about a night that v2 was judged on before."""
    return verdict(night, action, is_judged_again=True, severity="critical", **content)


def test_a_night_that_is_judged_again_opens_no_episode_and_the_next_one_does(champion):
    assert follow(champion, again(NIGHTS[0]), again(NIGHTS[1])) is None
    assert told(champion) == []
    assert follow(champion, verdict(NIGHTS[2])) is None
    episode = follow(champion, verdict(NIGHTS[3], "retrain"))
    assert (episode.opened_for, episode.first_alarm) == (NIGHTS[3], NIGHTS[1])


def test_a_night_that_is_judged_again_makes_no_episode_worse_nor_ends_it(champion):
    follow(champion, verdict(NIGHTS[2], "record"))
    before = told(champion)
    follow(champion, again(NIGHTS[1], "investigate"), again(NIGHTS[3]), *(again(n) for n in NIGHTS[4:9]))
    assert told(champion) == before


def test_a_night_that_is_judged_again_ends_the_episode_of_the_version_that_is_gone(champion):
    crown(champion.ledger, "2")
    follow(champion, verdict(NIGHTS[1], "retrain", version="2"))
    crown(champion.ledger, "1")
    episode = follow(champion, again(NIGHTS[1]))
    assert (episode.status, episode.closing_reason) == ("closed", "version 1 is champion in its place")
    assert follow(champion, again(NIGHTS[2])) is None
