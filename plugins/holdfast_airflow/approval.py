"""The last word of a person over a promotion; imported only where ``promotion.approval`` is ``human``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from holdfast_airflow.notifiers import tell_waiting
from holdfast_airflow.operators import Json, open_runtime
from holdfast_airflow.outcomes import airflow_outcomes
from holdfast_airflow.partitions import night_of
from holdfast_airflow.promotion import EVIDENCE
from holdfast_airflow.retrainings import close_retraining
from pipelines.errors import HoldfastError


class PromotionApprovalOperator(ApprovalOperator):
    """Wait for a person to approve or reject; it holds neither a worker nor a triggerer meanwhile.

    A rejection, or no answer within the time given, skips the promotion and ends the retraining as
    refused: the champion never moves without a person.

    Parameters
    ----------
    dataset : str
        A dataset of ``params.yaml``.
    gate_task_id : str
        The task whose evidence is shown.
    timeout_hours : float
        How long to wait.
    """

    def __init__(self, *, dataset: str, gate_task_id: str, timeout_hours: float, **kwargs: Any) -> None:
        version = f"{{{{ ti.xcom_pull(task_ids='{gate_task_id}')['model_version'] }}}}"
        super().__init__(
            subject=f"Make {dataset} v{version} the champion?",
            body=f"{{{{ ti.xcom_pull(task_ids='{gate_task_id}', key='{EVIDENCE}') }}}}",
            defaults=self.REJECT,
            response_timeout=timedelta(hours=timeout_hours),
            **kwargs,
        )
        self.dataset = dataset
        self.gate_task_id = gate_task_id
        self.timeout_hours = timeout_hours

    def execute(self, context: Context) -> Any:
        """Tell people that somebody is waited for, lay out what they should know, and wait."""
        gated = context["ti"].xcom_pull(task_ids=self.gate_task_id)
        self.body = self.with_card(self.body, gated["model_version"])
        tell_waiting(context, dataset=self.dataset, model_version=gated["model_version"])
        return super().execute(context)

    def with_card(self, evidence: str | None, model_version: str) -> str:
        """Return the evidence with the model card, and where it is with all that made the model."""
        from pipelines.steps.card import approval_evidence

        runtime = open_runtime()
        try:
            card = approval_evidence(self.dataset, model_version, runtime=runtime)
        except HoldfastError as error:
            self.log.warning("The model card can't be shown: %s", error)
            card = "The model card can't be shown: the log of this task says why.\n"
        finally:
            runtime.ledger.close()
        address = f"{runtime.settings.pages_url.rstrip('/')}/models/{self.dataset}/{model_version}"
        more = f"[The whole card, and what made v{model_version}]({address})"
        return f"{evidence or ''}\n\n{more}\n\n{card}"

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Json:
        """Act on the answer, or on its absence."""
        user = event.get("responded_by_user") or {}
        by = user.get("name") or user.get("id")
        answered = {
            "choice": event["chosen_options"][0] if "chosen_options" in event else None,
            "by": by,
            "at": event["responded_at"].isoformat() if event.get("responded_at") else None,
        }
        if answered["choice"] == self.REJECT:
            reason = f"rejected by {by}" if by else f"nobody approved it within {self.timeout_hours:g} hours"
            with airflow_outcomes():
                close_retraining(self.dataset, night_of(context), status="refused", reason=reason)
            self.log.info("The champion stays: %s.", reason)
            context["ti"].xcom_push(key="return_value", value=answered)
        super().execute_complete(context=context, event=event)
        return answered
