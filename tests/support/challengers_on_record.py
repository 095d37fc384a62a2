"""Challengers of the watched champion on record: one that its gates refused, and one that a person did."""

from __future__ import annotations

import shutil
from typing import Any

from evaluations import evaluation, speed
from watched_world import DATASET, LAST

from pipelines.records import (
    ApprovalRecord,
    FeatureImportance,
    GateRecord,
    GateResult,
    Importance,
    Measured,
    SliceMeasure,
    TrainingRecord,
)
from pipelines.registry.local_copies import file_digest
from pipelines.runtime import Runtime

REFUSED, REJECTED = "4", "5"
GAIN = "auc gain over v3 +0.0021 [-0.0091, +0.0133], p 0.37 over 14 days"


def put_challengers_on_record(runtime: Runtime, *, hostile: str) -> None:
    """Record v4, measured and refused by its gates, and v5, which passed them and was rejected by Ada.

    ``hostile`` is a column, a level, a reason and a part of the evidence.
    """
    champion = runtime.ledger.latest(TrainingRecord, DATASET, subject="3")
    assert champion is not None, "put the model on record first"
    models = runtime.settings.home / "models" / DATASET
    for version in (REFUSED, REJECTED):
        shutil.copytree(models / "3", models / version)
    measured = evaluation(dataset=DATASET, slices=[_slice(hostile)], importance=_importance(hostile))
    (models / REFUSED / "evaluation.json").write_text(measured.model_dump_json())
    (models / REFUSED / "speed.json").write_text(speed().model_dump_json())
    digests = {REFUSED: file_digest(models / REFUSED / "evaluation.json"), REJECTED: ""}
    for version, digest in digests.items():
        trained = champion.trained.model_copy(update={"reason": hostile, "evaluation_digest": digest})
        record = TrainingRecord(
            dataset=DATASET, partition_key=LAST, model_version=version, trained=trained, run_id="train/r"
        )
        runtime.ledger.record(record)
        runtime.ledger.record(_gates(version, hostile, is_passed=version == REJECTED))
    runtime.ledger.record(
        ApprovalRecord(
            dataset=DATASET,
            partition_key=LAST,
            model_version=REJECTED,
            answer="rejected",
            actor="ada",
            reason=f"not before the audit {hostile}",
            evidence_digest="e",
        )
    )


def _slice(hostile: str) -> SliceMeasure:
    return SliceMeasure(
        kind="discovered",
        where={hostile: hostile, "carrier": "CA1"},
        n_rows=60,
        metric=Measured(value=0.55, lower=0.5, upper=0.6),
        excess_loss=Measured(value=0.2, lower=0.1, upper=0.3),
        p_value=0.001,
        is_worse=True,
    )


def _importance(hostile: str) -> Importance:
    leaned = [FeatureImportance(column=name, value=0.1, share=0.5) for name in ("late_rate_7d", hostile)]
    return Importance(method="SHAP", unit="probability", n_rows=20, n_background=10, features=tuple(leaned))


def _gates(version: str, hostile: str, *, is_passed: bool) -> GateRecord:
    found: dict[str, Any] = {"gain": 0.0021, "p_value": 0.37, "risk": 0.05, "n_units": 14}
    gates = (
        GateResult(
            name="challenger_is_not_champion",
            is_passed=True,
            observed=f"v{version}; the champion is v3",
            required="another version than the champion",
        ),
        GateResult(
            name="no_slice_worse",
            is_passed=is_passed,
            observed=f"worse in {hostile}",
            required="no group worse by more than luck among 12",
            details={"worse": [hostile], "columns": {hostile: 0.2}},
        ),
        GateResult(
            name="beats_champion",
            is_passed=is_passed,
            observed=GAIN,
            required="a true gain above 0.001, at a risk of at most 0.05 that it is luck",
            details=found,
        ),
    )
    return GateRecord(
        dataset=DATASET,
        partition_key=LAST,
        model_version=version,
        bundle_digest="b",
        champion_version="3",
        champion_sequence=1,
        metric="auc",
        challenger_value=0.7521,
        champion_value=0.75,
        gates=gates,
        is_passed=is_passed,
        run_id="promote_trips/r",
    )
