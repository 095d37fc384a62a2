"""People are told of an incident once: on a real webhook, by real mail, and in the log."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr
from receivers import mailbox, webhook
from warm_processes import warm_processes

from pipelines.config import load_settings
from pipelines.ledger.outbox import MAX_ATTEMPTS
from pipelines.records import (
    Breaker,
    ChampionMove,
    Episode,
    GateRecord,
    GateResult,
    now_utc,
)
from pipelines.runtime import Runtime
from pipelines.steps.tell import (
    tell,
    tell_breaker,
    tell_episode,
    tell_failed_run,
    tell_promotion_waits,
    tell_rollback,
    tell_trial,
    tell_unsent,
)

# Apprise tries, on Python 3.11, a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def episode(**overrides) -> Episode:
    content = {
        "id": 3,
        "dataset": "flights",
        "status": "open",
        "action": "retrain",
        "severity": "critical",
        "kinds": ("data", "concept"),
        "cause": "`temp` moved by 0.8 sd, which carries 31 % of the model's skill.",
        "consequence": "AUC is 0.68, 0.05 worse than promised.",
        "next_step": "A retraining is asked for; look whether its challenger wins.",
        "model_version": "4",
        "first_alarm": "2013-07-03",
        "opened_for": "2013-07-04",
        "last_alarm": "2013-07-04",
        "opened_at": now_utc(),
    }
    return Episode.model_validate(content | overrides)


def telling(runtime: Runtime, *addresses: str) -> Runtime:
    settings = runtime.settings.model_copy(update={"notify_urls": SecretStr("\n".join(addresses))})
    return Runtime(settings=settings, params=runtime.params)


@pytest.fixture
def hook():
    with webhook() as hook:
        yield hook


@pytest.fixture
def hooked(runtime, hook) -> Runtime:
    return telling(runtime, f"json://ann:s3cr3t@127.0.0.1:{hook.port}/T0KEN/x")


def test_an_incident_is_told_once_with_cause_consequence_next_step_and_link(hooked, hook):
    sent = tell_episode(episode(), runtime=hooked)
    assert tell_episode(episode(), runtime=hooked) == sent
    (content,) = hook.received
    assert content["title"] == "flights: critical: data and concept drift, since 2013-07-03"
    assert content["type"] == "failure"
    assert content["message"] == (
        "Cause: 'temp' moved by 0.8 sd, which carries 31 % of the model's skill.\n"
        "Consequence: AUC is 0.68, 0.05 worse than promised.\n"
        "Next: A retraining is asked for; look whether its challenger wins.\n"
        "Look: http://127.0.0.1:8080/holdfast/drift/flights?last=2013-07-04"
    )
    assert sent.n_attempts == 1
    assert sent.sent_at is not None


def test_mail_arrives_as_it_was_written(runtime):
    hostile = episode(cause='<script>alert(1)</script> "x" & y', kinds=("data",))
    with mailbox() as box:
        address = f"mailto://127.0.0.1:{box.port}?from=holdfast@example.org&to=oncall@example.org"
        sent = tell_episode(hostile, runtime=telling(runtime, address))
    assert sent.last_error is None
    (mail,) = box.mails
    assert box.recipients == ["oncall@example.org"]
    assert "flights: critical: data drift" in mail["Subject"]
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            assert "<script>" not in part.get_content()
            assert "AUC is 0.68" in part.get_content()


def test_without_an_address_the_log_is_told(runtime, caplog):
    with caplog.at_level(logging.WARNING):
        sent = tell_episode(episode(), runtime=runtime)
        tell_episode(episode(), runtime=runtime)
    (record,) = caplog.records
    assert "AUC is 0.68" in record.getMessage()
    assert sent.delivered_to == ("log",)
    assert sent.sent_at is not None


def test_what_others_wrote_begins_no_line_of_the_log(runtime, caplog):
    tell_episode(episode(cause="x\n2013-07-04 ERROR forged"), runtime=runtime)
    (record,) = caplog.records
    assert not [line for line in record.getMessage().splitlines()[1:] if not line.startswith("    ")]


def test_an_episode_that_is_only_on_record_wakes_nobody(hooked, hook):
    assert tell_episode(episode(action="record"), runtime=hooked) is None
    over = episode(action="record", status="closed", closed_for="2013-07-09")
    assert tell_episode(over, runtime=hooked) is None
    assert hook.received == []


def test_an_episode_is_told_again_when_it_gets_worse_and_when_it_is_over(hooked, hook):
    tell_episode(episode(action="record"), runtime=hooked)
    later = {"last_alarm": "2013-07-06"}
    tell_episode(episode(**later), runtime=hooked)
    tell_episode(episode(**later, severity="warning"), runtime=hooked)
    worse = episode(**later, action="investigate", cause="`temp` is in Celsius now.")
    tell_episode(worse, runtime=hooked)
    over = worse.model_copy(
        update={"status": "closed", "closed_for": "2013-07-12", "closing_reason": "calm for 3 nights"}
    )
    for _ in range(2):
        tell_episode(over, runtime=hooked)
    assert [content["title"] for content in hook.received] == [
        "flights: critical: data and concept drift, since 2013-07-03",
        "flights: critical: a fault of the data, since 2013-07-03 (worse than it seemed at first)",
        "flights: over: a fault of the data, since 2013-07-03",
    ]


def test_a_channel_that_fails_for_a_moment_is_tried_again(hooked, hook):
    hook.statuses = [500, 503]
    sent = tell(tell_free_message(), runtime=hooked, pauses=(0.0, 0.0))
    assert sent.n_attempts == 3
    assert sent.sent_at is not None
    assert len(hook.received) == 1


def test_what_did_not_arrive_is_sent_on_a_later_night_to_whoever_has_not_had_it(runtime, hook):
    with webhook() as other:
        other.statuses = [500]
        addresses = [f"json://127.0.0.1:{port}/" for port in (hook.port, other.port)]
        both = telling(runtime, *addresses)
        kept = tell(tell_free_message(), runtime=both, pauses=())
        assert kept.sent_at is None
        assert len(kept.delivered_to) == 2
        assert tell_unsent(runtime=both) == 1
        assert tell_unsent(runtime=both) == 0
        assert (len(hook.received), len(other.received)) == (1, 1)


def test_a_message_that_never_arrives_is_given_up_and_counted(hooked, hook, caplog):
    hook.statuses = [404] * 20
    tell(tell_free_message(), runtime=hooked, pauses=())
    for _ in range(20):
        tell_unsent(runtime=hooked)
    assert len(hook.paths) == MAX_ATTEMPTS
    assert "given up" in caplog.text
    assert hooked.ledger.outbox.count_unsent("flights") == 1


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("json://ann:s3cr3t@127.0.0.1:{port}/T0KENxyz/?+X-Key=hidden99", id="refused"),
        pytest.param("slack://T0KENxyz/s3cr3t/nonsense/#hidden99", id="not-an-address"),
        pytest.param("nope://s3cr3t@T0KENxyz/hidden99", id="unknown"),
        pytest.param("mailto://ann:s3cr3t@[::1/T0KENxyz?to=hidden99", id="broken"),
        pytest.param("s3cr3t-T0KENxyz-hidden99", id="no-url"),
    ],
)
def test_no_part_of_an_address_is_ever_logged_or_kept(runtime, hook, caplog, capfd, address):
    hook.statuses = [500]
    told = telling(runtime, address.format(port=hook.port))
    with caplog.at_level(logging.DEBUG):
        kept = tell(tell_free_message(), runtime=told, pauses=())
    assert kept.last_error
    printed = capfd.readouterr()
    for text in (kept.model_dump_json(), caplog.text, printed.out, printed.err, repr(told.settings)):
        for secret in ("s3cr3t", "T0KENxyz", "hidden99"):
            assert secret not in text


def test_an_address_comes_from_the_environment(tmp_path):
    urls = "json://127.0.0.1:1/ \n mailto://x@y"
    settings = load_settings({"HOLDFAST_HOME": str(tmp_path), "HOLDFAST_NOTIFY_URLS": urls})
    assert settings.notify_urls.get_secret_value().split() == urls.split()
    assert "mailto" not in str(settings)


def tell_free_message():
    from pipelines.monitoring.telling.messages import failed_run_message

    pages = "http://127.0.0.1:8080/holdfast"
    return failed_run_message("flights", "2013-07-04", run="ingest_flights/a", why="no rows", pages=pages)


def test_other_incidents_say_what_to_do(hooked, hook):
    stamp = now_utc()
    breaker = Breaker(
        dataset="flights", is_open=True, reason="3 refused in a row", actor="holdfast", changed_at=stamp
    )
    gate = GateRecord(
        dataset="flights",
        partition_key="2013-07-04",
        model_version="5",
        bundle_digest="b",
        champion_version="4",
        champion_sequence=1,
        metric="auc",
        challenger_value=0.75,
        champion_value=0.7,
        gates=(GateResult(name="gain", is_passed=True, observed="0.05", required="0"),),
        is_passed=True,
    )
    move = ChampionMove(
        dataset="flights",
        sequence=7,
        model_version="3",
        previous_version="4",
        action="rollback",
        actor="ann",
        reason="it pages at night",
        evidence_digest="e",
        partition_key="2013-07-04",
        moved_at=stamp,
    )
    for _ in range(2):
        tell_breaker(breaker, partition_key="2013-07-04", runtime=hooked)
        tell_promotion_waits(gate, runtime=hooked)
        tell_rollback(move, runtime=hooked)
        run = "ingest_flights/" + "x" * 300
        for suffix in ("a", "b"):
            tell_failed_run("flights", "2013-07-04", run=run + suffix, why="no rows", runtime=hooked)
    assert [content["title"] for content in hook.received] == [
        "flights: retraining has stopped",
        "flights: v5 waits for your word",
        "flights: rolled back to v3",
        "flights 2013-07-04: failed for good",
        "flights 2013-07-04: failed for good",
    ]
    assert "holdfast retraining breaker close flights" in hook.texts[0]
    assert "promote_flights" in hook.texts[1]
    assert "ann asked for it: it pages at night" in hook.texts[2]
    assert "/holdfast/night/flights/2013-07-04" in hook.texts[3]


def test_a_trial_is_sent_whenever_it_is_asked_for_and_never_kept(hooked, hook):
    hook.statuses = [200, 503]
    outcomes = [next(iter(tell_trial(runtime=hooked).values())) for _ in range(2)]
    assert outcomes[0] is None
    assert "503" in outcomes[1]
    assert [content["title"] for content in hook.received] == ["Holdfast: this is a trial"]
    assert hooked.ledger.outbox.newest() == []


def _tell(home: str, port: int, barrier) -> None:
    from pipelines.config import load_params

    environ = {"HOLDFAST_HOME": home, "HOLDFAST_NOTIFY_URLS": f"json://127.0.0.1:{port}/"}
    settings = load_settings(environ)
    runtime = Runtime(settings=settings, params=load_params(settings.params))
    barrier.wait()
    tell_episode(episode(), runtime=runtime)


def test_two_processes_at_once_send_one_message(tmp_path, hook):
    context = warm_processes()
    barrier = context.Barrier(3)
    tellers = [context.Process(target=_tell, args=(str(tmp_path), hook.port, barrier)) for _ in range(3)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join(timeout=120)
    assert [teller.exitcode for teller in tellers] == [0, 0, 0]
    assert len(hook.received) == 1
