"""Processes that have the heavy imports behind them: each is forked from one server of the test session.

An interpreter that imports MLflow, torch and Great Expectations takes longer to start than most tests to
run. The server imports and does nothing else, so that no pool of threads and no open store is inherited.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import sys
from multiprocessing import forkserver
from unittest import mock

# There is one server, whoever asks first: it imports what any test's processes need.
_HEAVY = (
    "apprise",
    "optuna.samplers",
    "pipelines.registry.mlflow_registry",
    "pipelines.scoring.pyfunc_model",
    "pipelines.steps.hold",
    "pipelines.steps.ingest",
    "pipelines.steps.promote",
    "pipelines.steps.rescore",
    "pipelines.steps.retrain",
    "pipelines.steps.rollback",
    "pipelines.steps.score",
    "pipelines.steps.shadow",
    "pipelines.steps.tell",
    "pipelines.steps.validate",
    "pipelines.steps.watch",
    "pipelines.training.search",
    "psycopg",
    "pytest",
    "sqlalchemy.dialects.postgresql.psycopg",
    "toy_world",
)


@functools.cache
def warm_processes() -> multiprocessing.context.ForkServerContext:
    """Return a maker of such processes, whose server runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_HEAVY])
    # Python 3.11 tells the server nothing of our path: what it does not find is left to each process.
    with mock.patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}):
        forkserver.ensure_running()
    return context
