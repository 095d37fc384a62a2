"""What is said when a run has failed for good. Put your pager here: one function for all Dags."""

from __future__ import annotations

import logging

from airflow.sdk import Context

log = logging.getLogger(__name__)


def tell_failure(context: Context) -> None:
    """Say what failed, on which night, and what to do next, in one message in the Dag processor's log."""
    log.error("%s", failure_message(context))


def failure_message(context: Context) -> str:
    """Return the one message about a failed run, or about a failed task where the task itself tells.

    Airflow may know no task of a failed run, if that task is no longer in the Dag.
    """
    ti = context.get("ti")
    if ti is None:
        return f"Run {context['run_id']} failed ({context.get('reason')}). Next: look at it in Airflow."
    dag_run, exception = context["dag_run"], context.get("exception")
    night = f" for {dag_run.partition_key}" if dag_run.partition_key else ""
    why = f": {exception}" if exception else f" at try {ti.try_number}; its log says why"
    return (
        f"{ti.dag_id}.{ti.task_id} failed{night}{why}. Next: mend the cause and clear the task in run "
        f"{dag_run.run_id}; a repeat is harmless. The Dag's page says what else can be done by hand."
    )
