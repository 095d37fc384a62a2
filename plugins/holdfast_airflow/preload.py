"""Pay for heavy imports once, in the processes whose children run the tasks.

A task of the LocalExecutor is forked from a worker that the scheduler forked; a Celery task from its
worker. What the parent has imported, each task finds there, in shared memory. Called from Airflow's
``airflow_local_settings.py``, which every process of Airflow imports before anything else.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

# Imported, nothing more: no engine, store, device or thread pool is opened, since none survives a fork.
MODULES = (
    "numpy",
    "pandas",
    "pyarrow.dataset",
    "deltalake",
    "duckdb",
    "sklearn.ensemble",
    "torch",
    "safetensors.torch",
    "mlflow",
    "great_expectations",
    "evidently",
    "pipelines.runtime",
    "pipelines.registry.mlflow_registry",
    "pipelines.steps.ingest",
    "pipelines.steps.validate",
    "pipelines.steps.versions",
    "pipelines.steps.score",
    "pipelines.validation.stage_tables",
    "pipelines.steps.reconcile",
    "pipelines.steps.monitor",
    "pipelines.steps.retrain",
    "pipelines.steps.train",
    "pipelines.steps.register",
    "pipelines.steps.gate",
    "pipelines.steps.promote",
    "pipelines.steps.rollback",
)

# Tasks run side by side, so each computes on one thread; and a pool that starts at import dies at a fork.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def preload_in_parents(argv: Sequence[str] | None = None) -> list[str]:
    """Import the libraries of the steps, if this process is one whose children run tasks.

    Parameters
    ----------
    argv : sequence of str, optional
        The command line; this process's by default.

    Returns
    -------
    list of str
        What was imported; empty in every other process.
    """
    if not runs_tasks(sys.argv if argv is None else argv):
        return []
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    imported = []
    for module in MODULES:
        try:
            importlib.import_module(module)
        except Exception:
            # A scheduler without one step is better than none; the task that needs it says why it fails.
            log.exception("Can't preload %s; tasks that need it import it themselves.", module)
        else:
            imported.append(module)
    return imported


def runs_tasks(argv: Sequence[str]) -> bool:
    """Return whether a command line is that of a scheduler or of a Celery worker."""
    if not argv or Path(argv[0]).name not in {"airflow", "__main__.py"}:
        return False
    words = [word for word in argv[1:] if not word.startswith("-")]
    return words[:1] == ["scheduler"] or words[:2] == ["celery", "worker"]
