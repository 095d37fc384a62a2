import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.stack import processes
from pipelines.stack.environment import MARK
from pipelines.stack.interrupts import interruptible
from pipelines.stack.state import StackProcess


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE_SECONDS", 0.5)


@pytest.fixture
def stack_id(tmp_path: Path) -> Iterator[str]:
    mark = f"test-{tmp_path}"
    yield mark
    processes.stop(mark, ())


@pytest.fixture
def start(tmp_path: Path, stack_id: str) -> Callable[..., StackProcess]:
    def start(code: str, name: str = "child") -> StackProcess:
        return processes.start(
            name,
            [sys.executable, "-c", textwrap.dedent(code)],
            environment=dict(os.environ) | {"SPT_NOENV": "1"},
            stack_id=stack_id,
            log=tmp_path / "logs" / f"{name}.log",
        )

    return start


# Far more than a start takes on a machine that is busy with other things: whoever waits is done at once.
PATIENCE_SECONDS = 120


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    # An orphan that has ended may stay in the system's table: not every first process asks for its status.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def written(process: StackProcess) -> str:
    return process.log.read_text()


IDLE = "import time; print('ready', flush=True); time.sleep(600)"


def test_a_process_leads_a_session_of_its_own_and_logs_to_its_file(start):
    process = start(IDLE)

    wait_for(lambda: written(process) == "ready\n")
    assert processes.find(process) is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_the_log_of_the_run_before_is_kept_beside(start, stack_id):
    first = start("print('first')")
    assert processes.await_exit(first, timeout_seconds=PATIENCE_SECONDS) == 0

    second = start("print('second')")
    assert processes.await_exit(second, timeout_seconds=PATIENCE_SECONDS) == 0

    assert written(second) == "second\n"
    assert second.log.with_name("child.log.1").read_text() == "first\n"


def test_a_number_that_is_used_again_is_not_ours(start):
    process = start(IDLE)
    earlier = process.model_copy(update={"created_at": process.created_at - 60})

    assert processes.find(process) is not None
    assert processes.find(earlier) is None


def test_a_dead_child_that_was_not_reaped_is_gone_and_its_status_known(start):
    process = start("raise SystemExit(3)")

    wait_for(lambda: processes.find(process) is None)
    assert processes.exit_status(process) == 3


def test_the_status_of_a_process_that_is_no_child_is_not_known(start):
    process = start(IDLE)

    assert processes.exit_status(process) is None
    assert processes.exit_status(process.model_copy(update={"pid": 1})) is None


def test_a_child_that_outlives_the_time_has_no_status(start):
    assert processes.await_exit(start(IDLE), timeout_seconds=0.05) is None


def test_the_mark_finds_ours_and_neither_ourselves_nor_others(start, stack_id, monkeypatch):
    process = start(IDLE)
    monkeypatch.setenv(MARK, stack_id)
    with subprocess.Popen(["sleep", "60"], env={MARK: "another"}) as other:
        wait_for(lambda: bool(processes.marked(stack_id)))

        assert [found.pid for found in processes.marked(stack_id)] == [process.pid]
        other.kill()


def test_a_process_that_renames_itself_keeps_its_mark(start, stack_id):
    process = start(
        """
        import time
        from setproctitle import setproctitle

        setproctitle("something else altogether " * 40)
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    wait_for(lambda: written(process) == "ready\n")

    assert [found.pid for found in processes.marked(stack_id)] == [process.pid]


def test_a_polite_process_is_given_time_to_leave(start, stack_id):
    process = start(
        """
        import signal, sys, time

        def leave(*_):
            print("bye", flush=True)
            sys.exit(0)

        signal.signal(signal.SIGTERM, leave)
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    wait_for(lambda: written(process) == "ready\n")

    assert processes.stop(stack_id, [process]) == 1

    assert written(process) == "ready\nbye\n"


# A leader whose child ignores SIGTERM, in a session of its own, as tasks of Airflow may be.
FAMILY = """
    import os, signal, subprocess, sys, time

    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("is_leader_killed", [False, True], ids=["whole", "leader-killed"])
def test_stubborn_grandchildren_in_other_sessions_are_ended_too(start, stack_id, is_leader_killed):
    leader = start(FAMILY)
    wait_for(lambda: written(leader).endswith("\n"))
    grandchild = int(written(leader))
    if is_leader_killed:
        os.kill(leader.pid, signal.SIGKILL)
        wait_for(lambda: processes.find(leader) is None)

    n_stopped = processes.stop(stack_id, [leader])

    assert n_stopped == (1 if is_leader_killed else 2)
    assert has_ended(grandchild)
    assert processes.find(leader) is None


def test_children_that_shed_the_mark_are_ended_with_their_parents(start, stack_id):
    leader = start(
        """
        import subprocess, time

        print(subprocess.Popen(["sleep", "600"], env={}, start_new_session=True).pid, flush=True)
        time.sleep(600)
        """
    )
    wait_for(lambda: written(leader).endswith("\n"))

    assert processes.stop(stack_id, [leader]) == 2

    assert has_ended(int(written(leader)))


def test_what_has_ended_and_stays_in_the_systems_table_is_not_waited_for(start, stack_id, tmp_path):
    # Its parent is no part of the stack, and never asks for its status: as an orphan's may be.
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    code = f"""
        import subprocess, sys, time

        child = subprocess.Popen({command!r}, env={{{MARK!r}: {stack_id!r}}}, start_new_session=True)
        print(child.pid, flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as neglectful:
        assert neglectful.stdout is not None
        try:
            child = int(neglectful.stdout.readline())
            wait_for(lambda: [found.pid for found in processes.marked(stack_id)] == [child])
            began = time.monotonic()

            assert processes.stop(stack_id, ()) == 1

            # Else it takes ten looks of five seconds each.
            assert time.monotonic() - began < processes._SWEEPS * processes._KILL_SECONDS / 2
            assert has_ended(child)
            assert Path(f"/proc/{child}").exists()
            assert processes.stop(stack_id, ()) == 0
        finally:
            neglectful.kill()


def test_an_interrupt_ends_the_waiting_for_a_child(start):
    process = start(IDLE)

    def wait() -> None:
        signal.raise_signal(signal.SIGTERM)
        processes.await_exit(process, timeout_seconds=PATIENCE_SECONDS)

    with pytest.raises(KeyboardInterrupt), interruptible():
        wait()

    assert processes.find(process) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopping_is_done_whole_though_somebody_asks_again(start, stack_id, number, monkeypatch):
    polite, stray = start(IDLE, "polite"), start(IDLE, "stray")
    kill_group = os.killpg

    def interrupted(pid: int, sent: int) -> None:
        kill_group(pid, sent)
        signal.raise_signal(number)

    monkeypatch.setattr(os, "killpg", interrupted)
    with pytest.raises(KeyboardInterrupt), interruptible():
        assert processes.stop(stack_id, [polite]) == 2

    assert processes.find(polite) is None
    assert processes.find(stray) is None


def test_stopping_leaves_the_processes_of_others_alone(start, stack_id):
    with subprocess.Popen(["sleep", "60"], env={MARK: "another"}) as bystander:
        reused = StackProcess(name="x", pid=bystander.pid, created_at=1.0, log=Path("x.log"))

        assert processes.stop(stack_id, [reused]) == 0

        assert bystander.poll() is None
        bystander.kill()
