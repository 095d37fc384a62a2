"""Score a range of nights again with the champion; what was predicted and judged before is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow.compute as pc

from pipelines.errors import DataError, NotReadyError
from pipelines.records import Record, ScoringRecord, ValidationRecord, partition_range
from pipelines.runtime import Runtime
from pipelines.steps.rejudge import rejudge
from pipelines.steps.score import score
from pipelines.steps.scored_nights import newest_scorings
from pipelines.steps.superseded import Why

Progress = Callable[[str, int, int], None]


class Rescoring(Record):
    """What became of a range of nights: scored again, the champion's already, or left, and why.

    ``judged`` are the nights whose monitoring was done again, ``unjudged`` those where that failed.
    """

    dataset: str
    model_version: str
    rescored: tuple[str, ...]
    unchanged: tuple[str, ...]
    left: Mapping[str, str]
    n_rows: int
    judged: tuple[str, ...] = ()
    unjudged: Mapping[str, str] = {}


def rescore(
    dataset: str, first: str, last: str, *, runtime: Runtime, why: Why, progress: Progress | None = None
) -> Rescoring:
    """Have the champion's predictions in force for every scored night of a range, and have them monitored.

    Each night is done by itself and whole; where the process is killed, a repeat goes on. A night whose
    predictions are the champion's, of the rows that are published, is left alone: a repeat does nothing. A
    night that can't be scored (it was refused since) keeps what it has, and does not stop the others. After
    all are scored, those that were judged on other predictions are judged again
    (:func:`~pipelines.steps.rejudge.rejudge`).

    Parameters
    ----------
    first, last : str
        The nights to begin and end with; those that were never scored are not among them.
    why : Why
        Who asks for it, and why; marks the predictions that are superseded.
    progress : callable, optional
        Is told what is done, how many nights are, and how many there are.

    Raises
    ------
    NotReadyError
        If there is no champion.
    EngineError
        If a store fails; a repeat goes on.
    """
    champion = runtime.ledger.champions.present(dataset)
    if champion is None:
        raise NotReadyError(f"{dataset} has no champion yet: there is nothing to score with.")
    newest = newest_scorings(dataset, first, last, ledger=runtime.ledger)
    nights = [night for night in partition_range(first, last) if night in newest]
    rescored: list[ScoringRecord] = []
    unchanged: list[str] = []
    left: dict[str, str] = {}
    for n_done, night in enumerate(nights, start=1):
        if _is_done(newest[night], champion.model_version, runtime):
            unchanged.append(night)
        else:
            try:
                rescored.append(score(dataset, night, runtime=runtime, why=why))
            except (NotReadyError, DataError) as error:
                left[night] = str(error)
        if progress is not None:
            progress(f"rescore {dataset}", n_done, len(nights))
    judged = rejudge(dataset, first, last, runtime=runtime, progress=progress)
    return Rescoring(
        dataset=dataset,
        model_version=rescored[-1].model_version if rescored else champion.model_version,
        rescored=tuple(record.partition_key for record in rescored),
        unchanged=tuple(unchanged),
        left=left,
        n_rows=sum(record.n_rows for record in rescored),
        judged=judged.judged,
        unjudged=judged.left,
    )


def _is_done(scoring: ScoringRecord, model_version: str, runtime: Runtime) -> bool:
    """Return whether a night's predictions are a version's, on record and in the lake, of present rows."""
    dataset, night = scoring.dataset, scoring.partition_key
    validation = runtime.ledger.latest(ValidationRecord, dataset, night)
    if validation is None or validation.validated_digest != scoring.validated_digest:
        return False
    if scoring.model_version != model_version:
        return False
    found = runtime.lake.read(dataset, "predictions", partitions=[night], columns=["model_version"])
    versions = pc.unique(found["model_version"]).to_pylist()
    return bool(found.num_rows == scoring.n_rows and versions == [model_version] * bool(scoring.n_rows))
