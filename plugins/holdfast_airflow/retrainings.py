"""Hand a retraining on, or give it up: only one of a dataset is ever open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from holdfast_airflow.notifiers import what_failed
from holdfast_airflow.operators import StepOperator
from holdfast_airflow.partitions import night_of
from pipelines.errors import HoldfastError
from pipelines.records import OPEN_RETRAINING, RetrainingStatus, RetrainingVerdict

if TYPE_CHECKING:
    from pipelines.runtime import Runtime

log = logging.getLogger(__name__)


class HandOnRetrainingOperator(StepOperator):
    """Hand the retraining that was decided on to ``train_<dataset>``.

    The decision is in the ledger before: an event that is lost here is made up for by a later night, and one
    that comes twice finds its training done.

    Parameters
    ----------
    verdict : XComArg
        What the drift sensor returned: its retraining is as of the newest night of the episode, which need
        not be the night of this run.
    """

    template_fields: Sequence[str] = ("verdict",)

    def __init__(self, *, verdict: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verdict = verdict

    def run_step(self, context: Context, runtime: Runtime) -> None:  # noqa: ARG002 - the verdict says it all
        """Emit the event with the night as of which to train."""
        retraining = RetrainingVerdict.model_validate(self.verdict).retraining
        assert retraining is not None, "the sensor skips what is no `go`"  # noqa: S101
        self.log.info(
            "Retraining %s as of %s: %s", *(self.dataset, retraining.partition_key), retraining.reason
        )
        self.finish(context, retraining.partition_key)


def close_retraining(dataset: str, night: str, *, status: RetrainingStatus, reason: str) -> bool:
    """Mark a night's retraining as over, if it is open; a finished one keeps its outcome.

    Returns
    -------
    bool
        Whether one was open.
    """
    from pipelines.config import load_settings
    from pipelines.ledger.ledger import Ledger

    ledger = Ledger(load_settings().ledger_url)
    try:
        retraining = ledger.retraining(dataset, night)
        if retraining is None or retraining.status not in OPEN_RETRAINING:
            return False
        ledger.update_retraining(dataset, night, status=status, reason=reason)
        return True
    finally:
        ledger.close()


def retraining_failed(context: Context) -> None:
    """Mark the night's retraining as failed: the callback of a run, or of a task, that failed for good."""
    dag_run = context.get("dag_run")
    if dag_run is None:
        # So it is where a Dag's tasks were renamed while it ran.
        log.error("%s; its retraining, if any, is given up after a day.", what_failed(context))
        return
    dataset = dag_run.dag_id.partition("_")[2]
    try:
        night = night_of(context)
        closed = close_retraining(dataset, night, status="failed", reason=what_failed(context))
    except HoldfastError:
        # Whoever asks for the next retraining gives up one that has not been heard of for a day.
        log.exception("The retraining of %s could not be marked as failed.", dataset)
    else:
        if closed:
            log.info(
                "The retraining of %s for %s is marked as failed; the next one may start.", dataset, night
            )
