"""What a trial is, and which of several is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from pipelines.metrics import PrimaryMetric
from pipelines.records.base import Record

OnRound = Callable[[int, float], None]


class Measure(Protocol):
    """What a search tries: fit one kind of model, and measure it on the validation rows."""

    def __call__(
        self, candidate: str, parameters: Mapping[str, float | int], on_round: OnRound | None
    ) -> dict[str, float]:
        """Return the metrics; tell ``on_round`` each round and its loss, and pass on what it raises."""
        ...


class Trial(Record):
    """One point that was tried.

    Parameters
    ----------
    number : int
        From 0 on, without gaps.
    parameters : dict of str to float or int
        What differs from the candidate's defaults; empty for the default point.
    state : str
        ``complete``; ``pruned``: given up, for it fell behind; ``failed``: it gave no model, or none
        that can be compared.
    metrics : dict of str to float
        On the validation rows; empty unless it gave a model.
    losses : tuple of (int, float)
        Each round that was seen, and the loss after it.
    said : str
        Of a failed trial, why.
    seconds : float
        How long it took. Counts against a budget of time, and differs from run to run.
    """

    number: int
    candidate: str
    parameters: dict[str, int | float]
    state: Literal["complete", "pruned", "failed"]
    metrics: dict[str, float] = {}
    losses: tuple[tuple[int, float], ...] = ()
    said: str = ""
    seconds: float = 0.0

    @property
    def n_rounds(self) -> int:
        """How many rounds it was seen to go."""
        return self.losses[-1][0] if self.losses else 0

    def cost(self, metric: PrimaryMetric) -> float:
        """Return what a search makes small: the metric, or minus it; infinite if there is none."""
        value = self.metrics.get(metric.name, math.nan)
        if self.state != "complete" or math.isnan(value):
            return math.inf
        return -value if metric.greater_is_better else value

    def told(self) -> dict[str, Any]:
        """Return what of it goes on record: nothing that another run would find otherwise."""
        told: dict[str, Any] = {
            "number": self.number,
            "candidate": self.candidate,
            "parameters": self.parameters,
            "state": self.state,
            "n_rounds": self.n_rounds,
            "metrics": {name: value for name, value in self.metrics.items() if math.isfinite(value)},
        }
        return told | ({"said": self.said} if self.said else {})


def best_of(trials: Iterable[Trial], metric: PrimaryMetric) -> Trial | None:
    """Return the trial with the best metric, the first of equals; None if none has one.

    Defaults are tried first: whatever ties with one does not replace it.
    """
    ranked = [trial for trial in trials if math.isfinite(trial.cost(metric))]
    return min(ranked, key=lambda trial: trial.cost(metric), default=None)
