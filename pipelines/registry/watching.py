"""Whether a new champion is worse than the one before, beyond doubt: pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pipelines.metrics import paired_difference, worse_evidence
from pipelines.metrics.quality import Floats
from pipelines.records import WatchedNights, WatchRecord

# By how much the difference of two models strays from night to night beyond its rows: measured on flights,
# 0.016 to 0.039 for pairs of models that differ by seed, history or columns. What the nights themselves
# show soon outweighs it.
_NIGHT_DEVIATION = {"binary": 0.025, "multiclass": 0.05, "regression": 0.05}

# As whom the watch takes a champion back, on record.
WATCH = "watch"

Verdict = Literal["watching", "worse", "kept"]


def measure_nights(
    nights: Sequence[str], rows: tuple[Floats, Floats, Floats], task: str, *, margin: float
) -> WatchedNights | None:
    """Compare champion and former champion on the rows of some nights together.

    Parameters
    ----------
    nights : sequence of str
        Their partition keys.
    rows : tuple of ndarray
        The target, and the predictions of champion and former champion.

    Returns
    -------
    WatchedNights or None
        None where the rows are too few to say anything; then more nights belong to them.
    """
    found = paired_difference(*rows, task, margin=margin)
    if found is None:
        return None
    return WatchedNights(
        nights=tuple(nights),
        n_rows=found.n_rows,
        champion_value=found.first,
        former_value=found.second,
        gain=found.gain,
        variance=found.variance,
    )


def threshold(confidence: float) -> float:
    """Return the evidence from which on a champion counts as worse."""
    return 1 / (1 - confidence)


def weigh(watched: Sequence[WatchedNights], task: str) -> float:
    """Return the evidence, as an e-value, that the champion is worse than the one before."""
    deviation = _NIGHT_DEVIATION[task]
    # Nights that are taken together stray less.
    variances = [each.variance + deviation**2 / len(each.nights) for each in watched]
    return worse_evidence([each.gain for each in watched], variances)


def judge(evidence: float, *, confidence: float, is_over: bool) -> Verdict:
    """Return what follows from the evidence; ``kept`` only once all nights are in."""
    if evidence >= threshold(confidence):
        return "worse"
    return "kept" if is_over else "watching"


def mean_values(watched: Sequence[WatchedNights]) -> tuple[float | None, float | None]:
    """Return the metric of champion and former champion, the mean over the nights' rows."""
    if not watched:
        return None, None
    weights = [each.n_rows for each in watched]
    values = ([each.champion_value for each in watched], [each.former_value for each in watched])
    champion, former = (float(np.average(value, weights=weights)) for value in values)
    return champion, former


def watch_sentence(record: WatchRecord) -> str:
    """Return what a watch has found, in one sentence."""
    champion, former = f"v{record.model_version}", f"v{record.former_version}"
    if record.champion_value is None:
        return f"{champion} is watched against {former}; no night has mature labels of enough rows yet"
    span = f"{record.nights[0]} to {record.nights[-1]}"
    nights = f"{len(record.nights)} of {record.n_nights} nights ({span})"
    allowed = f", of which {record.margin:g} is put up with" if record.margin else ""
    verdict = {
        "worse": "worse beyond doubt",
        "kept": "not worse beyond doubt, and the watch is over",
        "watching": "not worse beyond doubt so far",
    }[record.verdict]
    return (
        f"{champion} had {record.metric} {record.champion_value:.4f} on {nights}, {former} would have had "
        f"{record.former_value:.4f}{allowed}: {verdict} (evidence {record.evidence:.3g}, "
        f"{record.threshold:.3g} asked)"
    )
