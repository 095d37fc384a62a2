"""One operator a step: read the night, call the step, say what happened, hand the night on.

The steps are imported when a task runs, never when a Dag file is parsed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from holdfast_airflow.forms import answer
from holdfast_airflow.notifiers import notify_environment
from holdfast_airflow.outcomes import airflow_outcomes
from holdfast_airflow.partitions import hand_on, night_of
from pipelines.errors import HoldfastError, NotReadyError

if TYPE_CHECKING:
    from pipelines.runtime import Runtime

Json = dict[str, Any]


def open_runtime(context: Context | None = None) -> Runtime:
    """Open configuration and stores from the task's environment, and people's addresses from Airflow.

    What steps decide with it bears the Dag run of ``context``.
    """
    from pipelines.runtime import Runtime

    run_id = None
    if context is not None:
        run_id = f"{context['dag_run'].dag_id}/{context['dag_run'].run_id}"
    return Runtime.load(notify_environment(), run_id=run_id)


class StepOperator(BaseOperator):
    """Run one step on one night.

    Parameters
    ----------
    dataset : str
        A dataset of ``params.yaml``.
    """

    skip_on: ClassVar[tuple[type[HoldfastError], ...]] = ()

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: Context) -> Json | None:
        """Run the step; its errors become Airflow's outcomes."""
        with airflow_outcomes(skip_on=self.skip_on):
            return self.run_step(context, open_runtime(context))

    @abstractmethod
    def run_step(self, context: Context, runtime: Runtime) -> Json | None:
        """Call the step and return its record as small JSON; None where there is none."""

    def finish(self, context: Context, *nights: str, extra: Json | None = None) -> None:
        """Let this task's asset events carry the night, or nights."""
        hand_on(context, self.outlets, nights, extra)


class ScoreOperator(StepOperator):
    """Score a night with the champion; skipped where there is no champion, or the night is not published."""

    skip_on = (NotReadyError,)

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Score the night."""
        from pipelines.steps.score import score

        night = night_of(context)
        record = score(self.dataset, night, runtime=runtime)
        self.log.info(
            "Scored %d rows of %s with %s v%s on %s.",
            *(record.n_rows, night, self.dataset, record.model_version, record.device),
        )
        self.finish(context, night)
        return record.to_json()


class RequestFirstTrainingOperator(StepOperator):
    """Ask for the training of a first champion; skipped unless there is none and days are enough."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Open the request."""
        from pipelines.steps.retrain import request_first_training

        night = night_of(context)
        requested = request_first_training(self.dataset, night, runtime=runtime)
        if requested is None:
            raise AirflowSkipException(
                f"No first training of {self.dataset} for {night}: there is a champion, one is being "
                "trained, or there are too few labelled days yet."
            )
        self.log.info("Asked for the first champion of %s as of %s.", self.dataset, night)
        self.finish(context, night)
        return requested.to_json()


class ReconcileOperator(StepOperator):
    """Measure past predictions against the labels that the night brought."""

    def run_step(self, context: Context, runtime: Runtime) -> Json | None:
        """Reconcile; no record where nothing had been predicted."""
        from pipelines.steps.reconcile import reconcile

        night = night_of(context)
        record = reconcile(self.dataset, night, runtime=runtime)
        if record is None:
            self.log.info("The labels that %s brought meet no predictions.", night)
            return None
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in record.metrics.items())
        self.log.info(
            "%s on %d rows of %s: %s.",
            f"v{record.model_version}",
            record.n_rows,
            record.partition_key,
            metrics,
        )
        return record.to_json()


class MonitorOperator(StepOperator):
    """Compare the night's window with what the champion was trained on."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Judge the night's drift."""
        from pipelines.monitoring.sentences import verdict_sentence
        from pipelines.steps.monitor import monitor

        night = night_of(context)
        record = monitor(self.dataset, night, runtime=runtime)
        self.log.info("%s %s: %s", self.dataset, night, verdict_sentence(record))
        self.finish(context, night)
        # The columns are many; the ledger and the night's page hold them.
        return record.model_dump(mode="json", exclude={"columns"})


class TrainOperator(StepOperator):
    """Train a challenger in a workspace of its own."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Train as of the night; for the reason in the form, or of the retraining."""
        from pipelines.steps.train import train

        night = night_of(context)
        retraining = runtime.ledger.retraining(self.dataset, night)
        by_hand = f"started by {context['dag_run'].triggering_user_name or 'hand'}"
        reason = answer(context["params"], "reason") or (retraining.reason if retraining else by_hand)
        trained = train(
            self.dataset,
            night,
            runtime=runtime,
            first_partition=answer(context["params"], "first"),
            reason=reason,
        )
        self.log.info(
            "Trained %s on %d rows of %s to %s: %s is best.",
            *(
                self.dataset,
                trained.n_rows,
                trained.first_partition,
                trained.last_partition,
                trained.candidate,
            ),
        )
        return trained.to_json()


class RegisterOperator(StepOperator):
    """Give a trained model its version; it is the challenger."""

    template_fields: Sequence[str] = ("trained",)

    def __init__(self, *, trained: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trained = trained

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Register what the task before trained."""
        from pipelines.records import TrainedModel
        from pipelines.steps.register import register

        record = register(TrainedModel.model_validate(self.trained), runtime=runtime)
        self.log.info("%s v%s is the challenger.", self.dataset, record.model_version)
        self.finish(context, record.partition_key, extra={"model_version": record.model_version})
        return {"partition_key": record.partition_key, "model_version": record.model_version}
