"""What the stack knows of itself: its folders, its processes, and the file that remembers them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from pipelines.errors import StackError
from pipelines.records import Record

USER = "admin"


@dataclass(frozen=True)
class StackPaths:
    """The folders and files of one stack, all below ``home``.

    Parameters
    ----------
    home : Path
        Absolute; ``HOLDFAST_HOME``.
    """

    home: Path

    @property
    def folder(self) -> Path:
        """What is the stack's own: secrets, state, logs of processes; mode 0700."""
        return self.home / "stack"

    @property
    def state(self) -> Path:
        """The processes that run, as JSON."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held by one `up` or `down` at a time."""
        return self.folder / "lock"

    @property
    def passwords(self) -> Path:
        """The user of Airflow's pages and the password, as Airflow's simple login reads it."""
        return self.folder / "passwords.json"

    @property
    def secrets(self) -> Path:
        """An Airflow configuration file that holds the secrets, and nothing else."""
        return self.folder / "secrets.cfg"

    @property
    def shell(self) -> Path:
        """The environment of the stack, for a shell to source."""
        return self.folder / "env.sh"

    @property
    def airflow_home(self) -> Path:
        """Airflow's database, logs and local settings."""
        return self.home / "airflow"

    @property
    def airflow_database(self) -> Path:
        """Airflow's metadata database."""
        return self.airflow_home / "airflow.db"

    def log(self, name: str) -> Path:
        """Return where the output of process ``name`` goes."""
        return self.folder / "logs" / f"{name}.log"

    @property
    def stack_id(self) -> str:
        """What marks every process of this home's stack: a digest of its path."""
        return hashlib.sha256(str(self.home).encode()).hexdigest()[:32]


class StackProcess(Record):
    """One process that the stack started: the leader of a process group and session of its own.

    ``created_at`` is what the system says of the process (seconds since the epoch): a process
    with the same number but another time of creation is somebody else's.
    """

    name: str
    pid: int
    created_at: float
    log: Path


class StackState(Record):
    """A stack that was started."""

    started_at: datetime
    api_port: int
    mlflow_port: int | None
    processes: tuple[StackProcess, ...] = ()

    @property
    def api_url(self) -> str:
        """Where Airflow's pages and its REST API are."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def mlflow_url(self) -> str | None:
        """Where MLflow's page is; None where the project uses a tracking server of its own."""
        return None if self.mlflow_port is None else f"http://127.0.0.1:{self.mlflow_port}"


def read_state(paths: StackPaths) -> StackState | None:
    """Return the state that was written last; None if there is none, or it is torn."""
    try:
        return StackState.model_validate_json(paths.state.read_bytes())
    except (FileNotFoundError, ValidationError):
        # The processes of a torn file are still found, by their mark.
        return None


def write_state(paths: StackPaths, state: StackState) -> None:
    """Write the state, whole or not at all, readable by its owner only."""
    write_private(paths.state, json.dumps(state.to_json(), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace a file's content atomically, with mode 0600, in a folder of mode 0700."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def exclusive(paths: StackPaths) -> Iterator[None]:
    """Hold the stack for one `up` or `down`.

    Raises
    ------
    StackError
        If another one is at work.
    """
    paths.folder.mkdir(parents=True, exist_ok=True)
    paths.folder.chmod(0o700)
    with paths.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError(
                f"Another `holdfast up` or `down` is at work on {paths.home}; wait until it is done."
            ) from error
        yield
