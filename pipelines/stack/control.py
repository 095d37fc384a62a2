"""Start and stop the embedded stack: Airflow's four processes and MLflow's page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pipelines.config import Settings
from pipelines.errors import StackError
from pipelines.records import now_utc
from pipelines.stack import processes
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.checks import check_disk, check_port, check_python
from pipelines.stack.environment import (
    DEFAULT_API_PORT,
    DEFAULT_MLFLOW_PORT,
    airflow_environment,
    read_password,
    write_files,
)
from pipelines.stack.interrupts import check_interrupted, interruptible
from pipelines.stack.readiness import await_dags, await_health, await_mlflow, expected_dags
from pipelines.stack.state import USER, StackPaths, StackState, exclusive, read_state, write_state
from pipelines.stack.tail import last_lines

Say = Callable[[str], None]

# `-s`: their servers of logs would listen on all interfaces, and on this machine the files are at hand.
AIRFLOW_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "-s"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "-s"),
}
# By its own name, since our preloading in the scheduler goes by the command line.
_AIRFLOW = (str(Path(sys.executable).with_name("airflow")),)
_MIGRATE_SECONDS = 300


def up(
    settings: Settings,
    *,
    api_port: int | None = None,
    mlflow_port: int | None = None,
    dags_folder: Path | None = None,
    wait: bool = True,
    say: Say = print,
) -> StackState:
    """Start the embedded stack, unless it is up; return once it is healthy.

    Parameters
    ----------
    settings : Settings
        Where things live.
    api_port, mlflow_port : int, optional
        On loopback; 8080 and 5000 by default, or the ports of the stack that is up.
    dags_folder : Path, optional
        Other Dags than the project's; then none in particular is waited for.
    wait : bool
        Whether to wait until Airflow is healthy and every Dag is there.
    say : callable
        Takes one line of progress at a time.

    Raises
    ------
    StackError
        If something is in the way; nothing that was started is left running. Also if a Dag can't be
        imported: then the stack stays up, to look at it.
    KeyboardInterrupt
        At Ctrl-C or SIGTERM, once nothing that was started is left running.
    """
    paths = StackPaths(settings.home)
    check_python(sys.version_info[:2])
    check_disk(settings.home)
    with interruptible(), exclusive(paths):
        running = _running(paths, api_port, mlflow_port, say)
        if running is not None:
            return running
        own_mlflow = settings.mlflow_uri.startswith(("http://", "https://"))
        state = StackState(
            started_at=now_utc(),
            api_port=api_port or DEFAULT_API_PORT,
            mlflow_port=None if own_mlflow else mlflow_port or DEFAULT_MLFLOW_PORT,
        )
        _check_ports(state)
        environment = airflow_environment(settings, api_port=state.api_port, dags_folder=dags_folder)
        write_files(settings, environment)
        problem = None
        with _all_or_nothing(paths, say):
            state = _start_all(settings, state, environment, say)
            if wait:
                await_health(state, say=say)
                await_mlflow(state, say=say)
                wanted = expected_dags(settings) if dags_folder is None else set()
                with connect(settings, state) as api:
                    problem = await_dags(api, state, wanted=wanted, say=say)
        if problem is not None:
            raise StackError(problem)
        _say_where(paths, state, say)
        return state


def down(settings: Settings, *, say: Say = print) -> None:
    """Stop the stack and all that it started; leave no process, whatever became of it before.

    Processes are ours by their mark, so that a lost state file or a killed leader hides none.
    """
    paths = StackPaths(settings.home)
    if not paths.folder.exists():
        say("The stack is not up.")
        return
    # Interrupted, it is done first: half a stack is of no use to anybody.
    with interruptible(), exclusive(paths):
        n_stopped = _stop(paths)
    say(f"The stack is down ({n_stopped} processes ended)." if n_stopped else "The stack is not up.")


def connect(settings: Settings, state: StackState) -> AirflowApi:
    """Return a client of the stack's Airflow, as its user."""
    return AirflowApi(state.api_url, USER, read_password(settings))


def run_airflow(settings: Settings, arguments: list[str]) -> int:
    """Run Airflow's own command in the stack's environment; return its exit status."""
    state = read_state(StackPaths(settings.home))
    port = DEFAULT_API_PORT if state is None else state.api_port
    environment = airflow_environment(settings, api_port=port)
    if state is None:
        check_disk(settings.home)
        write_files(settings, environment)
    return subprocess.run([*_AIRFLOW, *arguments], env=environment, check=False).returncode


def _running(paths: StackPaths, api_port: int | None, mlflow_port: int | None, say: Say) -> StackState | None:
    """Return the state of a stack that is up and whole; clear away what is left of any other."""
    state = read_state(paths)
    alive = [] if state is None else [process for process in state.processes if processes.find(process)]
    if state is not None and alive and len(alive) == len(state.processes):
        for wanted, present, option in (
            (api_port, state.api_port, "--api-port"),
            (mlflow_port, state.mlflow_port, "--mlflow-port"),
        ):
            if wanted is not None and wanted != present:
                raise StackError(
                    f"The stack is up on port {present}: run `holdfast down` first, or leave out {option}."
                )
        say("The stack is already up.")
        _say_where(paths, state, say)
        return state
    if state is not None or processes.marked(paths.stack_id):
        say("An earlier stack did not stop cleanly; clearing up what it left.")
        _stop(paths)
    return None


def _check_ports(state: StackState) -> None:
    check_port(state.api_port, purpose="Airflow", option="--api-port")
    if state.mlflow_port is not None:
        check_port(state.mlflow_port, purpose="MLflow", option="--mlflow-port")
        if state.mlflow_port == state.api_port:
            raise StackError(
                f"Port {state.api_port} can't serve both Airflow and MLflow: choose another --mlflow-port."
            )


@contextmanager
def _all_or_nothing(paths: StackPaths, say: Say) -> Iterator[None]:
    try:
        yield
        check_interrupted()
    except BaseException:
        # No interrupt is heeded in here: the clean-up is done whole, however often somebody asks.
        say("Stopping what was started.")
        _stop(paths)
        raise


def _stop(paths: StackPaths) -> int:
    state = read_state(paths)
    n_stopped = processes.stop(paths.stack_id, () if state is None else state.processes)
    paths.state.unlink(missing_ok=True)
    return n_stopped


def _start_all(settings: Settings, state: StackState, environment: Mapping[str, str], say: Say) -> StackState:
    paths = StackPaths(settings.home)

    def start(state: StackState, name: str, command: tuple[str, ...]) -> StackState:
        # Heeded before a process is started, never between its start and its record.
        check_interrupted()
        started = processes.start(
            name,
            command,
            environment=dict(environment) | _mlflow_variables(settings),
            stack_id=paths.stack_id,
            log=paths.log(name),
        )
        state = state.model_copy(update={"processes": (*state.processes, started)})
        # Written after each one, so that a crash between two hides none.
        write_state(paths, state)
        return state

    if state.mlflow_port is not None:
        say(f"Starting MLflow's page on port {state.mlflow_port}.")
        settings.home.joinpath("mlflow").mkdir(parents=True, exist_ok=True)
        state = start(state, "mlflow", _mlflow_command(state.mlflow_port))
    _migrate(paths, environment, say)
    say(f"Starting Airflow on port {state.api_port}.")
    for name, arguments in AIRFLOW_COMMANDS.items():
        state = start(state, name, (*_AIRFLOW, *arguments))
    return state


def _mlflow_command(port: int) -> tuple[str, ...]:
    return (
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    )


def _mlflow_variables(settings: Settings) -> dict[str, str]:
    """Return where MLflow's server keeps things: not on its command line, since a URL can hold a password."""
    return {
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,
        "MLFLOW_ARTIFACTS_DESTINATION": settings.mlflow_artifacts,
    }


def _migrate(paths: StackPaths, environment: Mapping[str, str], say: Say) -> None:
    """Bring Airflow's database to the installed version; a note beside it says that this was done."""
    note = paths.airflow_home / "airflow.db.version"
    present = version("apache-airflow")
    if paths.airflow_database.exists() and note.exists() and note.read_text(encoding="utf-8") == present:
        return
    say("Preparing Airflow's database (once).")
    process = processes.start(
        "migrate",
        (*_AIRFLOW, "db", "migrate"),
        environment=environment,
        stack_id=paths.stack_id,
        log=paths.log("migrate"),
    )
    if processes.await_exit(process, timeout_seconds=_MIGRATE_SECONDS) != 0:
        lines = "\n".join(last_lines(process.log, 12))
        raise StackError(f"Airflow's database could not be prepared; {process.log} ends with:\n{lines}")
    note.write_text(present, encoding="utf-8")


def _say_where(paths: StackPaths, state: StackState, say: Say) -> None:
    say(f"Airflow: {state.api_url}  (user {USER}, password in {paths.passwords})")
    if state.mlflow_url is not None:
        say(f"MLflow:  {state.mlflow_url}")
