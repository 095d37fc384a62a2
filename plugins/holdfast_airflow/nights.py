"""The two tasks by which every night begins, however it is started: ingest, then validate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Context

from holdfast_airflow.assets import assets_of
from holdfast_airflow.operators import Json, StepOperator
from holdfast_airflow.partitions import days_of
from pipelines.errors import DataError, HoldfastError, ValidationFailed

if TYPE_CHECKING:
    from pipelines.records import ValidationRecord
    from pipelines.runtime import Runtime

#: So many earlier nights, at most, are validated or handed on beside a night; the rest wait for the next.
MAX_EARLIER_NIGHTS = 31


def take_in(dataset: str) -> None:
    """Add the two tasks to the Dag that is being made."""
    landed = IngestOperator(task_id="ingest", dataset=dataset)
    validated = ValidateOperator(task_id="validate", dataset=dataset, outlets=[assets_of(dataset).validated])
    landed >> validated


class NightOperator(StepOperator):
    """A step that works on a night, or on a range of days in one go."""

    def tell_progress(self, what: str, done: int, total: int) -> None:
        """Log how far long work has come, about ten times in all."""
        if done == total or done % max(1, total // 10) == 0:
            self.log.info("%s: %d of %d", what, done, total)


class IngestOperator(NightOperator):
    """Land a night, or a range of days in one go, in the lake."""

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Ingest what the run or its form asks for."""
        from pipelines.steps.ingest import ingest, ingest_range

        first, last = days_of(context)
        if first == last:
            record = ingest(self.dataset, first, runtime=runtime)
            self.log.info(
                "Landed %d rows of %s %s, and %d labels of %s.",
                *(record.n_rows, self.dataset, first, record.n_labels, record.labels_partition_key),
            )
            if record.restated:
                self.log.info(
                    "Late rows or corrections changed earlier nights, which were landed anew: %s",
                    _named(record.restated),
                )
            return record.to_json()
        records = ingest_range(self.dataset, first, last, runtime=runtime, progress=self.tell_progress)
        summary = {
            "first": first,
            "last": last,
            "n_partitions": len(records),
            "n_rows": sum(record.n_rows for record in records),
            "n_labels": sum(record.n_labels for record in records),
        }
        self.log.info("Landed %(n_rows)d rows and %(n_labels)d labels of %(n_partitions)d days.", summary)
        return summary


class ValidateOperator(NightOperator):
    """Hold what was ingested to its expectations and publish what is good.

    Beside its night it validates earlier ones that were landed anew since, and hands on, with its own,
    those that were scored on rows which are no longer the published ones. What is wrong with an earlier
    night is told and stays for the next run: it neither hides nor stops the night itself.
    """

    def run_step(self, context: Context, runtime: Runtime) -> Json:
        """Validate the same days; hand on the last one that is published, and stale ones."""
        first, last = days_of(context)
        if first != last:
            summary = self._range(first, last, runtime)
            self.finish(context, str(summary["partition_key"]))
            return summary
        summary = self._night(first, runtime)
        stale = self._stale(first, runtime)
        self.finish(context, first, *stale)
        return summary | {"rescored": stale}

    def _night(self, night: str, runtime: Runtime) -> Json:
        from pipelines.steps.validate import validate

        problem: DataError | None = None
        try:
            record = validate(self.dataset, night, runtime=runtime)
        except DataError as error:
            # The earlier nights have nothing to do with it; a problem that may pass is raised at once.
            problem = error
        restated = self._restated(night, runtime)
        if problem is not None:
            raise problem
        self._tell(record)
        # The expectations are many; the ledger and the night's page hold them.
        return record.model_dump(mode="json", exclude={"expectations"}) | restated

    def _restated(self, night: str, runtime: Runtime) -> Json:
        """Validate earlier nights that were landed anew; return which passed, and which did not."""
        from pipelines.steps.validate import validate
        from pipelines.steps.versions import unvalidated_partitions

        found = [key for key in unvalidated_partitions(self.dataset, runtime=runtime) if key != night]
        passed, failed = [], []
        for key in self._newest(found, "were landed anew and wait for their validation"):
            try:
                self._tell(validate(self.dataset, key, runtime=runtime))
                passed.append(key)
            except HoldfastError as error:
                failed.append(key)
                self.log.error("Of the earlier nights, %s is not published anew: %s", key, error)  # noqa: TRY400 - the message says it all
        return {"restated": passed, "not_restated": failed}

    def _stale(self, night: str, runtime: Runtime) -> list[str]:
        """Return the earlier nights that are to be scored again."""
        from pipelines.steps.versions import stale_partitions

        found = [key for key in stale_partitions(self.dataset, runtime=runtime) if key != night]
        stale = self._newest(found, "wait for being scored again")
        if stale:
            self.log.info("Handed on to be scored again, since their rows have changed: %s", _named(stale))
        return stale

    def _newest(self, nights: list[str], what: str) -> list[str]:
        newest = sorted(nights, reverse=True)
        if rest := newest[MAX_EARLIER_NIGHTS:]:
            self.log.warning(
                "%d earlier nights %s; left for the next run: %s", len(newest), what, ", ".join(rest)
            )
        return newest[:MAX_EARLIER_NIGHTS]

    def _tell(self, record: ValidationRecord) -> None:
        self.log.info(
            "%s %s: %s; %d rows published, %d quarantined.",
            *(record.dataset, record.partition_key, record.outcome),
            *(record.n_published, record.n_quarantined),
        )

    def _range(self, first: str, last: str, runtime: Runtime) -> Json:
        from pipelines.steps.validate import validate_range

        records = validate_range(self.dataset, first, last, runtime=runtime, progress=self.tell_progress)
        published = [record for record in records if record.outcome != "refused"]
        refused = [record.partition_key for record in records if record.outcome == "refused"]
        if not published:
            raise ValidationFailed(
                f"No day of {self.dataset} from {first} to {last} is fit to be published. {first}: "
                + "; ".join(records[0].reasons)
            )
        if refused:
            self.log.warning("Refused, and not published: %s", ", ".join(refused))
        summary = {
            "partition_key": published[-1].partition_key,
            "n_published_partitions": len(published),
            "n_published": sum(record.n_published for record in published),
            "n_quarantined": sum(record.n_quarantined for record in records),
            "refused": refused[:31],
            "n_refused": len(refused),
        }
        self.log.info(
            "Published %(n_published)d rows of %(n_published_partitions)d days; %(n_quarantined)d rows "
            "quarantined, %(n_refused)d days refused.",
            summary,
        )
        return summary


def _named(nights: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(nights[:MAX_EARLIER_NIGHTS])
    return (
        shown if len(nights) <= MAX_EARLIER_NIGHTS else f"{shown} and {len(nights) - MAX_EARLIER_NIGHTS} more"
    )
