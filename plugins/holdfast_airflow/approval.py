"""The last word of a person over a promotion; imported only where ``promotion.approval`` is ``human``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context, Param

from holdfast_airflow.forms import answer
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
    refused: the champion never moves without a person. What was said is in the ledger, with the reason that
    the person gave.

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
            # A Dag hands its own form to every task; a person who decides has this one.
            **{**kwargs, "params": {"reason": _reason_field()}},
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
        answered = {
            "choice": event["chosen_options"][0] if "chosen_options" in event else None,
            "by": user.get("name") or user.get("id"),
            "at": event["responded_at"].isoformat() if event.get("responded_at") else None,
            "reason": answer(event.get("params_input") or {}, "reason") or "",
        }
        if answered["choice"] is not None:
            with airflow_outcomes():
                told = self.put_on_record(context, answered)
                if answered["choice"] == self.REJECT:
                    close_retraining(self.dataset, night_of(context), status="refused", reason=told)
                    self.log.info("The champion stays: %s.", told)
        if answered["choice"] == self.REJECT:
            context["ti"].xcom_push(key="return_value", value=answered)
        super().execute_complete(context=context, event=event)
        return answered

    def put_on_record(self, context: Context, answered: Json) -> str:
        """Write the answer to the ledger, and return it in words."""
        from pipelines.records import ApprovalRecord
        from pipelines.registry.champion import as_recorded
        from pipelines.steps.card import refresh_cards

        gated = context["ti"].xcom_pull(task_ids=self.gate_task_id)
        is_approved = answered["choice"] == self.APPROVE
        nobody = f"nobody approved it within {self.timeout_hours:g} hours"
        by, reason = as_recorded(answered["by"] or "", answered["reason"])
        record = ApprovalRecord(
            dataset=self.dataset,
            partition_key=night_of(context),
            model_version=gated["model_version"],
            answer="approved" if is_approved else "rejected" if by else "unanswered",
            actor=by,
            reason=reason if by else nobody,
            evidence_digest=gated["digest"],
            answered_at=answered["at"],
        )
        runtime = open_runtime(context)
        try:
            runtime.ledger.record(record)
            refresh_cards(self.dataset, record.model_version, runtime=runtime)
        finally:
            runtime.ledger.close()
        return record.sentence


def _reason_field() -> Param:
    return Param(
        None,
        type=["null", "string"],  # else Airflow's page demands one
        maxLength=500,
        title="Reason",
        description="Why; it is kept with the decision.",
        source="task",
    )
