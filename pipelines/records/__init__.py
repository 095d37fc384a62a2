"""The small records that steps return, tasks hand on, and the ledger keeps.

A record is frozen, is plain JSON, and holds no rows: addresses, digests, counts and verdicts.
Its *identity* (dataset, partition, subject) and its *content* give :attr:`Decision.digest`;
two runs that decide the same thing give the same digest.
"""

from pipelines.records.base import (
    Decision,
    Record,
    digest_of,
    now_utc,
)
from pipelines.records.data import (
    AmendmentRecord,
    DeliveryRecord,
    ExpectationOutcome,
    IngestionRecord,
    PartitionVersion,
    StageValidationRecord,
    ValidationRecord,
)
from pipelines.records.drift import (
    Breaker,
    ColumnDrift,
    ConceptDrift,
    DataBug,
    DriftKind,
    DriftRecord,
    Episode,
    EstimateScore,
    LevelDrift,
    Message,
    PerformanceEstimate,
    PerformanceRecord,
    ReconciliationRecord,
    RefitProbe,
    Severity,
    Trigger,
)
from pipelines.records.models import (
    OPEN_RETRAINING,
    ChampionMove,
    GateRecord,
    GateResult,
    PromotionDecision,
    Retraining,
    RetrainingStatus,
    RetrainingVerdict,
    TrainedModel,
    TrainingRecord,
)
from pipelines.records.partitions import (
    PARTITION_FORMAT,
    partition_date,
    partition_range,
    shift_partition,
)
from pipelines.records.predictions import ScoringRecord

__all__ = [
    "OPEN_RETRAINING",
    "PARTITION_FORMAT",
    "AmendmentRecord",
    "Breaker",
    "ChampionMove",
    "ColumnDrift",
    "ConceptDrift",
    "DataBug",
    "Decision",
    "DeliveryRecord",
    "DriftKind",
    "DriftRecord",
    "Episode",
    "EstimateScore",
    "ExpectationOutcome",
    "GateRecord",
    "GateResult",
    "IngestionRecord",
    "LevelDrift",
    "Message",
    "PartitionVersion",
    "PerformanceEstimate",
    "PerformanceRecord",
    "PromotionDecision",
    "ReconciliationRecord",
    "Record",
    "RefitProbe",
    "Retraining",
    "RetrainingStatus",
    "RetrainingVerdict",
    "ScoringRecord",
    "Severity",
    "StageValidationRecord",
    "TrainedModel",
    "TrainingRecord",
    "Trigger",
    "ValidationRecord",
    "digest_of",
    "now_utc",
    "partition_date",
    "partition_range",
    "shift_partition",
]
