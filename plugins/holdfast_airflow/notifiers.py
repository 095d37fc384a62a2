"""How runs reach people: what is said when a run has failed for good, and where addresses come from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import Connection, Context

from holdfast_airflow.partitions import night_of
from pipelines.errors import HoldfastError

if TYPE_CHECKING:
    from pipelines.runtime import Runtime

log = logging.getLogger(__name__)

_CONNECTION = "holdfast_notify"
_VARIABLE = "HOLDFAST_NOTIFY_URLS"


def notify_environment() -> dict[str, str]:
    """Return the environment, with people's addresses from Airflow's connection ``holdfast_notify``.

    The connection's password holds them, as ``HOLDFAST_NOTIFY_URLS`` would; that variable wins where both are
    set. Without either, messages go to the log alone.
    """
    environ = dict(os.environ)
    if environ.get(_VARIABLE):
        return environ
    try:
        addresses = Connection.get(_CONNECTION).password
    except Exception:  # noqa: BLE001 - no such connection, or no way to ask: people are told by the log
        return environ
    return environ | {_VARIABLE: addresses} if addresses else environ


def tell_failure(context: Context) -> None:
    """Tell what failed, on which night, and what to do next: once for each failure of a run.

    Airflow calls it in the Dag processor, maybe more than once.
    """
    from pipelines.steps.tell import tell_failed_run

    why = what_failed(context)
    dag_run = context.get("dag_run")
    dag_id = dag_run.dag_id if dag_run else context["dag"].dag_id
    run_id = dag_run.run_id if dag_run else context["run_id"]
    # Somebody who mends it, clears it, and sees it fail again is told again.
    run = f"{dag_id}/{run_id}/{getattr(dag_run, 'clear_number', None) or 0}"
    try:
        night = night_of(context) if dag_run else ""
    except HoldfastError:  # it failed for want of one, maybe
        night = ""
    dataset = dag_id.partition("_")[2]
    try:
        with _telling() as runtime:
            tell_failed_run(dataset, night, run=run, why=why, runtime=runtime)
    except HoldfastError:
        log.exception("%s. It could not be written down, so nobody but this log has been told.", why)


def tell_waiting(context: Context, *, dataset: str, model_version: str) -> None:
    """Tell that a challenger waits for a person; where nobody can be told, it waits all the same."""
    from pipelines.records import GateRecord
    from pipelines.steps.tell import tell_promotion_waits

    try:
        with _telling() as runtime:
            gate = runtime.ledger.latest(GateRecord, dataset, night_of(context), model_version)
            if gate is not None:
                tell_promotion_waits(gate, runtime=runtime)
    except HoldfastError:
        log.exception("%s v%s waits for a person, and nobody could be told.", dataset, model_version)


@contextmanager
def _telling() -> Iterator[Runtime]:
    from pipelines.runtime import Runtime

    runtime = Runtime.load(notify_environment())
    try:
        yield runtime
    finally:
        runtime.ledger.close()


def what_failed(context: Context) -> str:
    """Return which run failed, on which night, at which task, and why, as far as Airflow says."""
    ti = context.get("ti")
    if ti is None:  # the task that failed is no longer in the Dag
        return f"Run {context['run_id']} failed ({context.get('reason')})"
    dag_run, exception = context["dag_run"], context.get("exception")
    night = f" for {dag_run.partition_key}" if dag_run.partition_key else ""
    why = f": {exception}" if exception else f" at try {ti.try_number}; its log says why"
    return f"{ti.dag_id}.{ti.task_id} failed{night} in run {dag_run.run_id}{why}"
