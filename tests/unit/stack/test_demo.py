import os
import signal
import subprocess
import sys
import textwrap

import pytest

from pipelines.config import load_params
from pipelines.errors import ConfigError, StackError
from pipelines.ledger.ledger import Ledger
from pipelines.records import shift_partition
from pipelines.stack import control, demo, processes, settling, status
from pipelines.stack.demo import run_demo
from pipelines.stack.state import StackPaths

SHIPPED_MONTHS, SHIPPED_INTERLUDE, SHIPPED_NIGHT = demo.FIRST_MONTHS, demo.INTERLUDE, demo.FIRST_NIGHT
# Each day costs the ledger two transactions: a few are enough here.
FIRST_MONTHS = ("2013-03-29", "2013-03-31")
INTERLUDE = ("2013-06-22", "2013-06-23")
FIRST_NIGHT = "2013-06-24"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setattr(settling, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(demo, "FIRST_MONTHS", FIRST_MONTHS)
    monkeypatch.setattr(demo, "INTERLUDE", INTERLUDE)
    monkeypatch.setattr(demo, "FIRST_NIGHT", FIRST_NIGHT)


@pytest.fixture
def params(settings):
    return load_params(settings.params)


@pytest.fixture
def run(settings, params, fake_airflow, free_port, said):
    """Return a runner of the demo in a world of one kind."""

    def run(kind: str = "stirring", **options) -> int:
        fake_airflow(world=kind, **options.pop("trouble", {}))
        return run_demo(settings, params, api_port=free_port(), nights=3, say=said.append, **options)

    return run


def ours(settings):
    return processes.marked(StackPaths(settings.home).stack_id)


def test_the_demo_shows_drift_a_retraining_and_the_decision_and_leaves_nothing_running(run, settings, said):
    assert run() == 0

    text = " ".join("\n".join(said).split())
    assert "2013-06-25 900 3 897 v1, v2 0.713 confirmed: data, concept (retrain) " in text
    assert "(retrain) retrained: v2 promoted" in text
    assert "Drift was found, a challenger was trained because of it, and the gates decided." in text
    assert [line for line in said if "The champions" in line]
    assert "ingest.ingest" in text
    assert not ours(settings)


def test_a_second_demo_finds_the_history_and_succeeds_as_well(run, said):
    assert run() == 0
    said.clear()

    assert run() == 0

    assert not [line for line in said if "Loading" in line]
    assert [line for line in said if "in the lake already" in line]


def test_calm_nights_are_told_and_fail_the_demo(run, said):
    assert run("calm") == 1

    assert "The demo falls short: No night confirmed a drift alarm." in said


def test_without_a_first_champion_the_demo_stops_with_a_sentence(run, settings):
    with pytest.raises(StackError, match="No first champion was promoted: see the gates of promote_flights"):
        run("barren")

    assert not ours(settings)


def test_a_failed_run_stops_the_demo_and_the_stack(run, settings):
    with pytest.raises(StackError, match=r"ingest_flights of demo__\S+ failed in task ingest"):
        run(trouble={"fails": "ingest_flights"})

    assert not ours(settings)


def test_the_history_runs_up_to_the_first_night_without_a_gap():
    assert shift_partition(SHIPPED_MONTHS[1], 1) == SHIPPED_INTERLUDE[0]
    assert shift_partition(SHIPPED_INTERLUDE[1], 1) == SHIPPED_NIGHT


def test_the_stack_can_be_left_up(run, settings):
    assert run(keep_up=True) == 0

    assert status(settings).is_up


def test_a_stack_that_was_up_before_is_left_up(run, settings, params, said):
    run(keep_up=True)

    assert run_demo(settings, params, nights=3, say=said.append) == 0
    assert status(settings).is_up


def test_a_dataset_that_is_switched_off_is_a_sentence(settings, params):
    flights = params.datasets["flights"].model_copy(update={"enabled": False})
    without = params.model_copy(update={"datasets": {"flights": flights}})

    with pytest.raises(ConfigError, match="runs on `flights`: enable it"):
        run_demo(settings, without)


def test_a_backfill_that_an_earlier_demo_left_open_is_closed(
    server, api, settings, params, said, world, monkeypatch
):
    server.backfills.append({"id": 0, "completed_at": None})
    started = demo_on(server, api, settings, params, said)

    started._start_night("2013-06-24", started.started_at)

    assert [backfill["completed_at"] is None for backfill in server.backfills] == [False, True]


def test_a_night_whose_backfill_was_made_although_the_answer_got_lost_is_started(
    server, api, settings, params, said
):
    started = demo_on(server, api, settings, params, said)
    server.backfills.append({"id": 0, "completed_at": None})
    server.add_run("ingest_flights", "2013-06-24", run_type="backfill")

    started._start_night("2013-06-24", started.started_at)

    assert len(server.backfills) == 1


def test_a_backfill_that_never_ends_is_a_sentence(server, api, settings, params, said, monkeypatch):
    monkeypatch.setattr(demo, "_START_SECONDS", 0.1)
    server.backfills.append({"id": 0, "completed_at": None})
    server.add_run("ingest_flights", "2013-01-01", state="running")

    with pytest.raises(StackError, match=r"did not start a backfill of ingest_flights for 2013-06-24 in 0 s"):
        demo_on(server, api, settings, params, said)._start_night("2013-06-24", demo.now_utc())


def demo_on(server, api, settings, params, said) -> demo.Demo:
    state = demo.StackState(started_at=demo.now_utc(), api_port=1, mlflow_port=None)
    runtime = demo.Runtime(settings=settings, params=params)
    return demo.Demo(runtime=runtime, state=state, api=api, started_at=demo.now_utc(), say=said.append)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_demo_leaves_nothing_running(settings, fake_airflow, free_port, number):
    fake_airflow(world="stirring")
    script = textwrap.dedent(
        f"""
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from pipelines.config import load_params, load_settings
        from pipelines.stack import control, demo, processes, settling
        control._AIRFLOW = {control._AIRFLOW!r}
        processes._GRACE_SECONDS = 1.0
        settling._POLL_SECONDS = 0.02
        demo.FIRST_MONTHS = {FIRST_MONTHS!r}
        demo.INTERLUDE = {INTERLUDE!r}
        demo.FIRST_NIGHT = {FIRST_NIGHT!r}
        settings = load_settings()
        options = dict(nights=60, api_port={free_port()}, say=lambda line: print(line, flush=True))
        sys.exit(demo.run_demo(settings, load_params(settings.params), **options))
        """
    )
    environment = {
        **os.environ,
        "HOLDFAST_HOME": str(settings.home),
        "HOLDFAST_MLFLOW_URI": settings.mlflow_uri,
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if f"Night {FIRST_NIGHT}" in line:
                running.send_signal(number)
        assert running.wait(120) == 130

    assert not ours(settings)
    ledger = Ledger(settings.ledger_url)
    assert ledger.champions.present("flights") is not None
    ledger.close()
