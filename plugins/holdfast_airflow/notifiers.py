"""What is said when a task has failed for good. Put your pager here: one function for all Dags."""

from __future__ import annotations

import logging

from airflow.sdk import Context

log = logging.getLogger(__name__)


def tell_failure(context: Context) -> None:
    """Say what failed, on which night, why, and what to do next, in one message in the task's log."""
    log.error("%s", failure_message(context))


def failure_message(context: Context) -> str:
    """Return the one message about a failed task."""
    ti, dag_run = context["ti"], context["dag_run"]
    night = f" for {dag_run.partition_key}" if dag_run.partition_key else ""
    why = context.get("exception") or "it was killed"
    return (
        f"{ti.dag_id}.{ti.task_id} failed{night} after {ti.try_number} tries: {why}\n"
        f"Next: mend the cause, then clear the task in run {dag_run.run_id}; a repeat is harmless. "
        f"The Dag's page says what else can be done by hand."
    )
