from datetime import UTC, datetime

import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.records import Retraining, Trigger
from pipelines.stack.summary import (
    Night,
    action_words,
    champion_table,
    drift_words,
    missing_evidence,
    night_table,
    read_nights,
    stage_table,
)

NIGHTS = ["2013-06-24", "2013-06-25", "2013-06-26"]
STAMP = datetime(2013, 7, 4, tzinfo=UTC)


_COOLDOWN = "cooldown: the last one was for 2013-06-24"


def trigger(verdict: str, reason: str) -> Trigger:
    return Trigger(
        id=1,
        dataset="flights",
        partition_key=NIGHTS[1],
        episode_id=None,
        verdict=verdict,
        reason=reason,
        decided_at=STAMP,
    )


def retraining(status: str, *, key: str = NIGHTS[1], reason: str = "data drift", version=None) -> Retraining:
    return Retraining(
        id=1,
        dataset="flights",
        partition_key=key,
        status=status,
        reason=reason,
        model_version=version,
        requested_at=STAMP,
        updated_at=STAMP,
    )


@pytest.fixture
def night(world):
    """Return a maker of nights that were whole and calm, changed as a test says."""

    def make(key: str = NIGHTS[1], **fields) -> Night:
        calm = {
            "ingestion": world.ingestion(key),
            "validation": world.validation(key),
            "scorings": (world.scoring(key, "1"),),
            "performances": (world.performance(key, "1"),),
            "drifts": (world.drift(key, "1"),),
            "retraining": None,
            "trigger": None,
            "gates": (),
        }
        return Night(partition_key=key, **(calm | fields))

    return make


@pytest.fixture
def alarming(world, night):
    """Return a maker of nights whose drift was confirmed, and acted on as a test says."""

    def make(status: str, *, is_gated: bool = True) -> Night:
        return night(
            drifts=(world.drift(NIGHTS[1], "1", is_confirmed=True),),
            retraining=retraining(status, version="2"),
            gates=(world.gate(NIGHTS[1], "2"),) if is_gated else (),
        )

    return make


@pytest.mark.parametrize("status", ["promoted", "refused"])
def test_nothing_is_missing_once_the_gates_decided_on_the_challenger_of_a_drift(night, alarming, status):
    assert missing_evidence([night(NIGHTS[0]), alarming(status), night(NIGHTS[2])]) == []


def test_calm_nights_show_no_drift(night):
    assert missing_evidence([night()]) == ["No night confirmed a drift alarm."]


def test_an_alarm_that_was_not_confirmed_is_not_enough(world, night):
    alarmed = night(drifts=(world.drift(NIGHTS[1], "1", is_alarm=True),))

    assert missing_evidence([alarmed]) == ["No night confirmed a drift alarm."]


@pytest.mark.parametrize("status", ["suppressed", "failed"])
def test_a_drift_that_led_to_no_retraining_is_not_enough(alarming, status):
    assert missing_evidence([alarming(status)]) == ["No confirmed drift led to a retraining."]


def test_a_retraining_without_a_drift_does_not_count(night):
    assert missing_evidence([night(retraining=retraining("promoted"))]) == [
        "No night confirmed a drift alarm."
    ]


@pytest.mark.parametrize(
    ("status", "is_gated"), [("registered", True), ("training", False), ("promoted", False)]
)
def test_a_challenger_that_no_gate_decided_on_is_not_enough(alarming, status, is_gated):
    assert missing_evidence([alarming(status, is_gated=is_gated)]) == [
        "No challenger of a retraining was decided on by the gates."
    ]


@pytest.mark.parametrize(
    "lacking",
    [
        {"ingestion": None},
        {"validation": None},
        {"scorings": ()},
        {"drifts": ()},
    ],
    ids=lambda lacking: next(iter(lacking)),
)
def test_a_night_that_is_not_whole_is_named(night, alarming, lacking):
    (sentence,) = missing_evidence([night(NIGHTS[0], **lacking), alarming("promoted")])

    assert sentence.endswith("and monitored: 2013-06-24.")


def test_a_refused_night_is_not_whole(world, night):
    assert not night(validation=world.validation(NIGHTS[1], outcome="refused")).is_whole


def test_the_strongest_verdict_of_a_night_is_shown(world, night):
    before = world.drift(NIGHTS[1], "1", is_confirmed=True)
    after = world.drift(NIGHTS[1], "2", is_alarm=True)

    assert night(drifts=(before, after)).drift == before
    assert night(drifts=()).drift is None


def test_nights_are_read_from_the_ledger_oldest_record_first(world, tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    key = NIGHTS[1]
    # Written in another order than decided.
    late, early = world.scoring(key, "10"), world.scoring(key, "9")
    early = early.model_copy(update={"decided_at": STAMP})
    records = [world.ingestion(key), world.validation(key), late, early]
    for record in [*records, world.drift(key, "9"), world.performance(key, "9"), world.gate(key, "10")]:
        ledger.record(record)
    ledger.open_retraining("flights", key, status="requested", reason="drift")

    before, found, after = read_nights(ledger, "flights", NIGHTS)
    ledger.close()

    assert [record.model_version for record in found.scorings] == ["9", "10"]
    assert (found.is_whole, before.is_whole, after.is_whole) == (True, False, False)
    assert found.retraining is not None
    assert [record.model_version for record in found.gates] == ["10"]


def test_a_line_a_night_says_what_happened(world, night, alarming):
    rescored = alarming("promoted")
    rescored = Night(**(vars(rescored) | {"scorings": (*rescored.scorings, world.scoring(NIGHTS[1], "2"))}))
    unlabelled = night(NIGHTS[2], performances=())

    lines = night_table([night(NIGHTS[0]), rescored, unlabelled], "auc")

    assert [" ".join(line.split()) for line in lines[2:]] == [
        "2013-06-24 900 3 897 v1 0.713 calm –",
        "2013-06-25 900 3 897 v1, v2 0.713 confirmed: data, concept (retrain) retrained: v2 promoted",
        "2013-06-26 900 3 897 v1 – calm –",
    ]


def test_a_night_of_which_nothing_is_on_record_is_a_line_of_dashes():
    empty = Night(NIGHTS[0], None, None, (), (), (), None, None, ())

    assert night_table([empty], "auc")[-1].split() == [NIGHTS[0], *["–"] * 7]


def test_a_metric_that_was_not_defined_is_a_dash(world, night):
    lines = night_table([night(performances=(world.performance(NIGHTS[1], "1", brier=0.2),))], "auc")

    assert lines[-1].split()[5] == "–"


def test_a_repeat_by_a_champion_that_learned_from_the_night_does_not_change_its_metric(world, night):
    first, again = world.performance(NIGHTS[1], "1", auc=0.6), world.performance(NIGHTS[1], "2", auc=0.9)

    assert night_table([night(performances=(first, again))], "auc")[-1].split()[5] == "0.600"


def test_an_alarm_that_waits_for_confirmation_is_told_apart(world):
    assert drift_words(world.drift(NIGHTS[0], "1", is_alarm=True)) == "alarm: data, concept (retrain)"


@pytest.mark.parametrize(
    ("decided", "words"),
    [
        pytest.param({}, "–", id="nothing"),
        pytest.param({"trigger": trigger("calm", "no drift")}, "–", id="calm"),
        pytest.param({"trigger": trigger("suppressed", _COOLDOWN)}, "none: cooldown", id="suppressed"),
        pytest.param(
            {"retraining": retraining("suppressed", reason=_COOLDOWN)}, "none: cooldown", id="old-ledger"
        ),
        pytest.param(
            {"retraining": retraining("refused", version="3")}, "retrained: v3 refused", id="refused"
        ),
        pytest.param({"retraining": retraining("training")}, "retrained: training", id="under-way"),
    ],
)
def test_what_was_done_is_told_in_a_few_words(night, decided, words):
    assert action_words(night(**decided)) == words


def test_the_champions_are_listed_with_whom_they_followed(world):
    lines = champion_table([world.move(1, "1", NIGHTS[0]), world.move(2, "2", NIGHTS[1])])

    assert lines[2].split()[:4] == ["v1", "2013-06-24", "–", "promote"]
    assert lines[3].split()[:3] == ["v2", "2013-06-25", "v1"]


def test_stages_are_timed_in_the_order_of_the_night_and_failures_left_out():
    def task(dag_id: str, task_id: str, duration: float | None, state: str = "success"):
        return {"dag_id": dag_id, "task_id": task_id, "duration": duration, "state": state}

    lines = stage_table(
        [
            task("train_flights", "train", 30.0),
            task("ingest_flights", "validate", 1.0),
            task("ingest_flights", "ingest", 1.0),
            task("ingest_flights", "ingest", 4.0),
            task("ingest_flights", "ingest", 2.0),
            task("ingest_flights", "ingest", 99.0, "failed"),
            task("score_flights", "score", None, "skipped"),
            task("elsewhere", "x", 1.0),
        ]
    )

    assert [line.split() for line in lines[2:]] == [
        ["ingest.ingest", "3", "2.0", "4.0", "7.0"],
        ["ingest.validate", "1", "1.0", "1.0", "1.0"],
        ["train.train", "1", "30.0", "30.0", "30.0"],
        ["elsewhere.x", "1", "1.0", "1.0", "1.0"],
    ]
