"""Judge nights again whose predictions are others than were judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipelines.errors import DataError, IntegrityError, NotReadyError
from pipelines.records import DriftRecord, EstimateScore, ReconciliationRecord, Record
from pipelines.runtime import Runtime
from pipelines.steps.estimates import score_estimates
from pipelines.steps.faulty_nights import is_held
from pipelines.steps.reconcile import reconcile
from pipelines.steps.scored_nights import is_out_of_date, newest_scorings

Progress = Callable[[str, int, int], None]


class Rejudging(Record):
    """What became of the nights whose verdicts were out of date: judged again, or left, and why."""

    judged: tuple[str, ...] = ()
    left: Mapping[str, str] = {}


def rejudge(
    dataset: str, first: str, last: str, *, runtime: Runtime, progress: Progress | None = None
) -> Rejudging:
    """Measure and judge every night of a range anew whose predictions are others than were judged.

    Performance is measured with the labels that are known by now. Each night is done by itself and whole;
    where the process is killed, a repeat goes on, and where nothing is out of date it adds nothing. A night
    that can't be judged keeps its old verdict, and does not stop the others.

    Parameters
    ----------
    first, last : str
        The nights to begin and end with.
    progress : callable, optional
        Is told what is done, how many nights are, and how many there are.

    Raises
    ------
    EngineError
        If Evidently, the lake or the disk fails; a repeat goes on.
    """
    # Light until a night has to be judged: most of what asks has none.
    from pipelines.steps.monitor import monitor

    measured = runtime.ledger.newest_partition(ReconciliationRecord, dataset)
    if measured is not None:
        reconcile(dataset, measured, runtime=runtime)
    nights = nights_to_rejudge(dataset, first, last, runtime=runtime)
    judged: list[str] = []
    left: dict[str, str] = {}
    for n_done, night in enumerate(nights, start=1):
        try:
            monitor(dataset, night, runtime=runtime)
            judged.append(night)
        except (NotReadyError, DataError, IntegrityError) as error:
            left[night] = str(error)
        if progress is not None:
            progress(f"monitor {dataset}", n_done, len(nights))
    if measured is not None:
        again = _nights_without_score(dataset, first, last, runtime)
        score_estimates(dataset, measured, runtime=runtime, again=again)
    return Rejudging(judged=tuple(judged), left=left)


def nights_to_rejudge(dataset: str, first: str, last: str, *, runtime: Runtime) -> list[str]:
    """Return the nights of a range whose newest verdict is not about the predictions in force, by date.

    A night that was never judged waits for its own turn, and is not among them; nor is one that is held.
    """
    verdicts = _newest_verdicts(dataset, first, last, runtime)
    scorings = newest_scorings(dataset, first, last, ledger=runtime.ledger)
    return [
        night
        for night, verdict in verdicts.items()
        if night in scorings
        and is_out_of_date(verdict, scorings[night])
        and not is_held(dataset, night, runtime=runtime)
    ]


def _newest_verdicts(dataset: str, first: str, last: str, runtime: Runtime) -> dict[str, DriftRecord]:
    # By age within a night: the last one stays.
    found = runtime.ledger.history(DriftRecord, dataset, first=first, last=last)
    return {verdict.partition_key: verdict for verdict in found}


def _nights_without_score(dataset: str, first: str, last: str, runtime: Runtime) -> list[str]:
    """Return the nights that were judged again, and whose estimate was not held against the truth since."""
    scores = runtime.ledger.history(EstimateScore, dataset, first=first, last=last)
    scored = {(score.partition_key, score.model_version) for score in scores}
    return [
        night
        for night, verdict in _newest_verdicts(dataset, first, last, runtime).items()
        if verdict.is_judged_again and (night, verdict.model_version) not in scored
    ]
