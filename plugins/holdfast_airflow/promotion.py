"""The operators that move the champion: the gates, a promotion, a rollback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from holdfast_airflow.forms import answer
from holdfast_airflow.operators import Json, StepOperator
from holdfast_airflow.outcomes import airflow_outcomes
from holdfast_airflow.partitions import hand_on, night_of, nights_to_rescore
from holdfast_airflow.retrainings import close_retraining
from pipelines.errors import NotReadyError

if TYPE_CHECKING:
    from pipelines.records import GateRecord
    from pipelines.runtime import Runtime

EVIDENCE = "evidence"


class GateOperator(StepOperator, SkipMixin):
    """Hold a challenger to the gates; where it is refused, nothing after it runs, and the run succeeds."""

    def __init__(self, *, challenger: Asset, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.challenger = challenger

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Evaluate the challenger that the event, the form, or the ledger names."""
        from pipelines.steps.gate import gate
        from pipelines.steps.shadow_state import await_shadow

        night = night_of(context)
        version = self._model_version(context, night, runtime)
        if (waits := await_shadow(self.dataset, version, runtime=runtime)) is not None:
            self.log.info("%s. Its gates are evaluated once the labels of all are.", waits.sentence)
            found = {"model_version": version, "is_passed": False, "nights_in_shadow": len(waits.labelled)}
            context["ti"].xcom_push(key="return_value", value=found)
            self.skip(context["ti"], self.get_direct_relatives(upstream=False))
            return found
        record = gate(self.dataset, version, runtime=runtime)
        evidence = evidence_table(record)
        self.log.info("%s", evidence)
        found = {
            "model_version": record.model_version,
            "is_passed": record.is_passed,
            "digest": record.digest,
        }
        if record.is_passed:
            context["ti"].xcom_push(key=EVIDENCE, value=evidence)
            return found
        failed = "; ".join(g.name for g in record.gates if not g.is_passed)
        reason = f"v{record.model_version} did not pass: {failed}"
        close_retraining(self.dataset, night, status="refused", reason=reason)
        self.log.info("The champion stays: %s.", reason)
        context["ti"].xcom_push(key="return_value", value=found)
        self.skip(context["ti"], self.get_direct_relatives(upstream=False))
        return found

    def _model_version(self, context: Context, night: str, runtime: Runtime) -> str:
        from pipelines.records import TrainingRecord

        events = context["triggering_asset_events"][self.challenger]
        if events:
            return str(events[-1].extra["model_version"])
        asked = answer(context["params"], "model_version")
        if asked is not None:
            return asked
        record = runtime.ledger.latest(TrainingRecord, self.dataset, night)
        if record is None:
            raise NotReadyError(
                f"No challenger of {self.dataset} was trained for {night}: run train_{self.dataset} first, "
                "or name a `model_version` in the form."
            )
        return record.model_version


class PromoteOperator(StepOperator):
    """Make a challenger that passed the gates the champion; skipped where it does not become it.

    Parameters
    ----------
    gated : XComArg
        What the gates found; names the challenger.
    approval : XComArg, optional
        Who approved, where a person has the last word.
    """

    template_fields: Sequence[str] = ("gated", "approval")

    def __init__(self, *, gated: Any, approval: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gated = gated
        self.approval = approval

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Promote by compare-and-set."""
        from pipelines.steps.promote import promote

        night = night_of(context)
        actor, note = "gates", ""
        if self.approval is not None:
            actor, note = self.approval["by"], f"approved at {self.approval['at']}"
            if why := self.approval.get("reason"):
                note += f": {why}"
        version = self.gated["model_version"]
        decision = promote(self.dataset, version, runtime=runtime, actor=actor, note=note)
        found = decision.to_json()
        if not decision.is_promoted:
            close_retraining(self.dataset, night, status="refused", reason=decision.reason)
            context["ti"].xcom_push(key="return_value", value=found)
            raise AirflowSkipException(f"The champion stays: {decision.reason}")
        self.log.info("%s v%s is the champion: %s", self.dataset, decision.model_version, decision.reason)
        self.finish(context, night, extra={"model_version": decision.model_version})
        return found


class RollbackOperator(StepOperator):
    """Go back to the champion before, or to a version that a person names."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Move the champion, on record with who asked and why."""
        from pipelines.steps.rollback import rollback

        move = rollback(
            self.dataset,
            runtime=runtime,
            model_version=answer(context["params"], "model_version"),
            actor=context["dag_run"].triggering_user_name or "unnamed, through Airflow",
            reason=answer(context["params"], "reason") or "",
        )
        self.log.info(
            "The champion of %s is v%s, after v%s.", self.dataset, move.model_version, move.previous_version
        )
        return move.to_json()


class RescoreOperator(BaseOperator):
    """Hand nights on to scoring with the new champion; skipped where none was asked for."""

    def execute(self, context: Context) -> None:
        """Emit the champion's event for each night in the form."""
        with airflow_outcomes():
            nights = nights_to_rescore(context)
        if not nights:
            raise AirflowSkipException("No night to score again was asked for; all predictions are kept.")
        self.log.info("To be scored again: %s to %s, %d night(s).", nights[0], nights[-1], len(nights))
        hand_on(context, self.outlets, nights)


def evidence_table(record: GateRecord) -> str:
    """Return the gates as a Markdown table, as a person who approves reads them."""
    champion = "none yet" if record.champion_version is None else f"v{record.champion_version}"
    value = "" if record.champion_value is None else f" {record.champion_value:.4f}"
    lines = [
        f"**{record.dataset} v{record.model_version}**: {record.metric} {record.challenger_value:.4f} on the "
        f"holdout; champion {champion}{value}.",
        "",
        "| gate | required | observed | passed |",
        "| --- | --- | --- | --- |",
    ]
    cells = ([g.name, g.required, g.observed, "yes" if g.is_passed else "**no**"] for g in record.gates)
    lines += ["| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in row) + " |" for row in cells]
    return "\n".join(lines)
