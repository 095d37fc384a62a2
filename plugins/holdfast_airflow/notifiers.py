"""What is said when a run has failed for good. Put your pager here: one function for all Dags."""

from __future__ import annotations

import logging

from airflow.sdk import Context

log = logging.getLogger(__name__)


def tell_failure(context: Context) -> None:
    """Say what failed, on which night, and what to do next, in one message in the Dag processor's log."""
    log.error(
        "%s. Next: mend the cause and clear the failed task; a repeat is harmless. The Dag's page says what "
        "else can be done by hand.",
        what_failed(context),
    )


def what_failed(context: Context) -> str:
    """Return which run failed, on which night, at which task, and why, as far as Airflow says."""
    ti = context.get("ti")
    if ti is None:  # the task that failed is no longer in the Dag
        return f"Run {context['run_id']} failed ({context.get('reason')})"
    dag_run, exception = context["dag_run"], context.get("exception")
    night = f" for {dag_run.partition_key}" if dag_run.partition_key else ""
    why = f": {exception}" if exception else f" at try {ti.try_number}; its log says why"
    return f"{ti.dag_id}.{ti.task_id} failed{night} in run {dag_run.run_id}{why}"
