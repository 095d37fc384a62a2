"""The operators of what scores beside the champion: the shadow, the watch, and the way on to the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from holdfast_airflow.operators import Json, StepOperator
from holdfast_airflow.partitions import night_of

if TYPE_CHECKING:
    from pipelines.runtime import Runtime


class ShadowOperator(StepOperator):
    """Score the night with every version in the champion's shadow; skipped where there is none."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Score what the champion has scored."""
        from pipelines.steps.shadow import shadow

        night = night_of(context)
        records = shadow(self.dataset, night, runtime=runtime)
        if not records:
            raise AirflowSkipException(
                f"No version of {self.dataset} is in the champion's shadow on {night}."
            )
        for record in records:
            self.log.info(
                "Scored %d rows of %s in the shadow of v%s with v%s on %s.",
                *(record.n_rows, night, record.beside, record.model_version, record.device),
            )
        return {record.model_version: record.n_rows for record in records}


class WatchOperator(StepOperator):
    """Compare a new champion with the one before, and take it back where it is worse; else skipped."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Look at what is known as of the night."""
        from pipelines.registry.watching import watch_sentence
        from pipelines.steps.watch import watch

        night = night_of(context)
        record = watch(self.dataset, night, runtime=runtime)
        if record is None:
            raise AirflowSkipException(f"No promotion of {self.dataset} is watched.")
        self.log.info("%s", watch_sentence(record))
        # The nights are many; the ledger holds them.
        return record.model_dump(mode="json", exclude={"watched", "nights"})


class HandOnChallengerOperator(StepOperator):
    """Hand a challenger whose nights in the shadow have labels on to its gates; else skipped."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Emit the challenger's event, for the night that it was trained as of."""
        from pipelines.steps.shadow_state import challenger_to_gate

        state = challenger_to_gate(self.dataset, runtime=runtime)
        if state is None:
            raise AirflowSkipException(f"No challenger of {self.dataset} waits in the shadow for its gates.")
        self.log.info("%s: on to its gates.", state.sentence)
        self.finish(context, state.partition_key, extra={"model_version": state.model_version})
        return {"partition_key": state.partition_key, "model_version": state.model_version}
