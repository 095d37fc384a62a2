"""The drift sensor: is a night's drift worth a training, and may one start now?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from holdfast_airflow.operators import Json, open_runtime
from holdfast_airflow.outcomes import airflow_outcomes
from holdfast_airflow.partitions import night_of
from holdfast_airflow.triggers import RetrainingFinishedTrigger


class DriftSensor(BaseSensorOperator):
    """Decide about a night's drift; while another retraining is under way, wait without a worker.

    Succeeds where a retraining is to start, and is skipped, with the reason, where none is. The event that
    started it is a hint: what is decided comes from the ledger alone.

    Parameters
    ----------
    dataset : str
        A dataset of ``params.yaml``.
    poke_interval : float
        Seconds between two looks at the retraining under way.
    """

    def __init__(self, *, dataset: str, poke_interval: float = 15.0, **kwargs: Any) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.dataset = dataset

    def execute(self, context: Context) -> Json:
        """Decide, and defer while the answer is to wait."""
        from pipelines.steps.retrain import decide_retraining

        with airflow_outcomes():
            night = night_of(context)
            verdict = decide_retraining(self.dataset, night, runtime=open_runtime())
        self.log.info("%s %s: %s: %s", self.dataset, night, verdict.verdict, verdict.reason)
        if verdict.verdict == "wait":
            self.defer(
                trigger=RetrainingFinishedTrigger(self.dataset, self.poke_interval),
                method_name="decide_again",
                timeout=timedelta(seconds=self.timeout),
            )
        if verdict.verdict != "go":
            raise AirflowSkipException(f"No retraining: {verdict.reason}")
        return verdict.to_json()

    def decide_again(self, context: Context, event: Json) -> Json:  # noqa: ARG002 - Airflow passes it
        """Decide anew: the retraining under way has finished, or was lost, which may change the answer."""
        return self.execute(context)
