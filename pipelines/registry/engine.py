"""How MLflow is opened, and how its failures are told."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url
from sqlalchemy.exc import SADeprecationWarning, SQLAlchemyError

from pipelines.errors import EngineError

with warnings.catch_warnings():
    # MLflow 3.17 maps its tables in a way that SQLAlchemy 2.1 calls deprecated. It would load its stores at
    # the first call; loaded here, they are paid for once by whoever imports this ahead of many forks.
    warnings.simplefilter("ignore", SADeprecationWarning)
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

# What MLflow lets through from its databases, servers (requests' errors are OSErrors) and stores.
_FAILURES = (MlflowException, SQLAlchemyError, Boto3Error, BotoCoreError, ClientError, OSError)

_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


@contextmanager
def engine_errors(purpose: str) -> Iterator[None]:
    """Turn every failure of MLflow and its stores into an EngineError that says what was tried."""
    try:
        yield
    except _FAILURES as error:
        told = f"Can't {purpose}: MLflow failed: {type(error).__name__}: {error}"
        raise EngineError(_PASSWORD.sub(r"\1:***@", told)) from error


def insert_or_find(write: Callable[[], None]) -> None:
    """Run a write of MLflow that inserts what it does not find: of two at once, one collides.

    The one that collided finds the other's row when it tries again.
    """
    try:
        write()
    except MlflowException:
        write()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process or thread at a time do what MLflow can't do twice at once; the file is the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def open_client(tracking_uri: str, home: Path) -> MlflowClient:
    """Return a client whose database has its tables.

    Parameters
    ----------
    tracking_uri : str
        ``sqlite:///…``, ``postgresql://…`` or the address of an MLflow server.
    home : pathlib.Path
        Where the lock lies that lets one process at a time set up a new database: MLflow's own
        set-up fails if two try at once.
    """
    # A new database is no news.
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with engine_errors(f"open {tracking_uri}"), alone(home / "mlflow-setup.lock"):
        if tracking_uri.startswith("sqlite") and (database := make_url(tracking_uri).database):
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        client = MlflowClient(tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return client


def use_s3_endpoint(url: str | None) -> None:
    """Point MLflow's artifact store at an S3 service; it takes the address from the environment only."""
    if url:
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = url
