"""Gates on what a model learned from: validated days, honest features, labels that are what they were."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeGuard

from pipelines.config import PromotionConfig
from pipelines.records import GateResult, LabelNoise, ValidationRecord
from pipelines.registry.gates.words import named

# What a label noise's surest rows are of all; and how unlikely luck is to be in a rise.
_SUREST_SHARE, _SURELY = 0.02, 0.05


def data_validated(
    days: Mapping[str, str], records: Mapping[str, ValidationRecord], *, problem: str | None = None
) -> GateResult:
    """Ask that every day the model learned from is on record as validated, and not refused since.

    Parameters
    ----------
    days : mapping of str to str
        The digest of the rows of each day of the snapshot, by partition key.
    records : mapping of str to ValidationRecord
        The latest verdict on each partition.
    problem : str, optional
        Why ``days`` can't be relied on: the snapshot's lineage is missing, or not what was recorded.
    """
    missing = sorted(key for key in days if key not in records)
    refused = sorted(key for key in days if key in records and records[key].outcome == "refused")
    restated = sorted(
        key for key in days if key in records and records[key].validated_digest not in (days[key], None)
    )
    faults = [
        *([problem] if problem else []),
        *([] if days else ["no day is on record"]),
        *([f"never validated: {named(missing)}"] if missing else []),
        *([f"refused since: {named(refused)}"] if refused else []),
    ]
    return GateResult(
        name="data_validated",
        is_passed=not faults,
        observed="; ".join(faults) or f"{len(days)} days, all validated",
        required="every day of the snapshot validated, none refused since",
        # Later corrections do not undo a training, but a person may want to know.
        details={"n_days": len(days), "restated_since": restated},
    )


def no_look_ahead(changed: Sequence[str], days: Sequence[str]) -> GateResult:
    """Ask that no feature changed when the history after its day was cut off.

    Parameters
    ----------
    changed : sequence of str
        The columns that did.
    days : sequence of str
        The partitions that the check chose from; without any, nothing is shown.
    """
    observed = f"changed: {named(changed)}" if changed else "no column changed"
    return GateResult(
        name="no_look_ahead",
        is_passed=bool(days) and not changed,
        observed=observed if days else "no day to check on",
        required="no feature changes when later history is cut off",
        details={"columns": list(changed), "days": list(days)},
    )


class SkewFound(NamedTuple):
    """Features as a model learned them, beside the same rows' as a night's scoring computes them.

    ``differing`` says of each column that differs in how many rows; ``n_restated`` counts the days that were
    left aside, for their data is no longer what the model learned from.
    """

    differing: Mapping[str, int]
    n_rows: int
    days: Sequence[str]
    n_restated: int = 0


def no_training_scoring_skew(found: SkewFound) -> GateResult:
    """Ask that scoring computes the features as training had them, row by row."""
    counts = [f"{name} in {n_rows:,} of {found.n_rows:,} rows" for name, n_rows in found.differing.items()]
    aside = f"; {found.n_restated} days left aside: restated since" if found.n_restated else ""
    if not found.n_rows:
        observed = f"no row to compare{aside}"
    elif counts:
        observed = f"differs: {named(counts)}{aside}"
    else:
        observed = f"the same in {found.n_rows:,} rows of {len(found.days)} days{aside}"
    return GateResult(
        name="no_training_scoring_skew",
        is_passed=bool(found.n_rows) and not found.differing,
        observed=observed,
        required="scoring computes every feature as training had it",
        details={
            "columns": dict(found.differing),
            "n_rows": found.n_rows,
            "days": list(found.days),
            "n_restated_days": found.n_restated,
        },
    )


def labels_as_learned(changed: Mapping[str, tuple[int, int]], *, config: PromotionConfig) -> GateResult:
    """Ask that the labels which challenger and champion learned are those of the same rows today.

    Labels are corrected now and then; where many rows have another label than a model was given, either
    the model learned wrong ones, or they have been spoilt since.

    Parameters
    ----------
    changed : mapping of str to (int, int)
        Of each model, in words, how many rows have another label now, and how many were compared.
    """
    shares = {who: n / n_rows for who, (n, n_rows) in changed.items() if n_rows}
    parts = [f"{who}: {n:,} of {n_rows:,} rows" for who, (n, n_rows) in changed.items() if n_rows]
    return GateResult(
        name="labels_as_learned",
        is_passed=all(share <= config.max_relabelled_fraction for share in shares.values()),
        observed=f"changed since {'; '.join(parts)}" if parts else "no row of a reference to compare",
        required=f"another label now in at most {config.max_relabelled_fraction:.0%} of the rows",
        details={"changed": {who: list(counts) for who, counts in changed.items()}},
    )


def labels_not_flipped(
    ours: LabelNoise | None, theirs: LabelNoise | None, *, champion: str | None, config: PromotionConfig
) -> GateResult:
    """Ask that the labels the challenger learned contradict what is surest no more than the champion's did.

    Where labels are flipped at random, even the rows that look surest go wrong in as large a share. What
    features can't tell does so as well: it is the rise over the champion's training that is asked about,
    and that it is more than luck in so few rows.

    Parameters
    ----------
    ours, theirs : LabelNoise, optional
        Of the trainings of challenger and champion, by one method.
    """
    limit = config.max_flipped_fraction
    required = f"contradicted in at most {limit:.0%} more of the surest rows than the champion's"
    rise = p_value = None
    if champion is None:
        observed = "not measured: no champion to hold it against"
    elif not _tells(ours) or not _tells(theirs):
        observed = "not measured of both trainings: a regression, few rows, or a model from before it was"
    else:
        rise, p_value = _rise(ours, theirs)
        observed = (
            f"of the surest rows {ours.surest_contradicted:.1%} contradicted, of v{champion}'s "
            f"{theirs.surest_contradicted:.1%} (p {p_value:.2g})"
        )
    return GateResult(
        name="labels_not_flipped",
        is_passed=rise is None or p_value is None or not (rise > limit and p_value < _SURELY),
        observed=observed,
        required=required,
        details={"rise": rise, "p_value": p_value, "limit": limit},
    )


def _tells(noise: LabelNoise | None) -> TypeGuard[LabelNoise]:
    return noise is not None and noise.surest_contradicted is not None


def _rise(ours: LabelNoise, theirs: LabelNoise) -> tuple[float, float]:
    """Return how much more is contradicted, and how likely that is by luck (two shares, pooled)."""
    shares = [noise.surest_contradicted or 0.0 for noise in (ours, theirs)]
    sizes = [max(1, int(_SUREST_SHARE * noise.n_rows)) for noise in (ours, theirs)]
    rise = shares[0] - shares[1]
    pooled = sum(share * n for share, n in zip(shares, sizes, strict=True)) / sum(sizes)
    spread = math.sqrt(pooled * (1 - pooled) * sum(1 / n for n in sizes))
    if spread == 0:
        return rise, 0.0 if rise > 0 else 1.0
    return rise, 0.5 * math.erfc(rise / spread / math.sqrt(2))
