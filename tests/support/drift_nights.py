"""Nights of a made-up dataset's drift, as the ledger keeps them."""

from __future__ import annotations

from typing import Any

from pipelines.ledger.ledger import Ledger
from pipelines.records import ChampionMove, ColumnDrift, DriftRecord, now_utc

DATASET = "flights"


def crown(ledger: Ledger, version: str = "1", *, night: str = "2013-03-31") -> None:
    """Make a version the champion, whichever was before."""
    moves = ledger.champions.history(DATASET)
    ledger.champions.move(
        ChampionMove(
            dataset=DATASET,
            sequence=len(moves) + 1,
            model_version=version,
            previous_version=moves[-1].model_version if moves else None,
            action="promote",
            actor="gates",
            reason="better",
            evidence_digest=f"{len(moves)}",
            partition_key=night,
            moved_at=now_utc(),
        )
    )


def verdict(night: str, action: str = "none", *, version: str = "1", **content: Any) -> DriftRecord:
    """Return a night's verdict: calm for ``none``, else a confirmed alarm that calls for the action."""
    is_alarm = action != "none"
    drifted = ColumnDrift(
        column="temp", method="wasserstein", distance=0.9, threshold=0.5, is_drifted=True, p_value=0.0
    )
    of_alarm = {"columns": (drifted,), "kinds": ("data",), "severity": "warning", "n_alarm_nights": 2}
    of_calm = {"columns": (), "kinds": (), "severity": "none", "n_alarm_nights": 0}
    common = {
        "dataset": DATASET,
        "partition_key": night,
        "model_version": version,
        "window": (night, night),
        "is_alarm": is_alarm,
        "is_confirmed": is_alarm,
        "action": action,
    }
    return DriftRecord.model_validate(common | (of_alarm if is_alarm else of_calm) | content)
