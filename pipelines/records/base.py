"""What all records share: they are frozen, plain JSON, and decisions have a digest."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


def digest_of(content: Any) -> str:
    """Return the SHA-256 of ``content`` as canonical JSON (sorted keys, no spaces), in hex."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def now_utc() -> datetime:
    """Return the present as an aware UTC datetime; for stamps only, never to choose a partition."""
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of all records: frozen, closed, plain JSON."""

    # JSON has no nan: without this one would be written as null, and could not be read back.
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), ser_json_inf_nan="strings"
    )

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-ready dict, as it travels through XCom."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Decision(Record):
    """Base of the records that the ledger keeps, one ``kind`` a class."""

    kind: ClassVar[str]
    # Facts about one run, not about what was decided: two runs that differ only here agree.
    volatile: ClassVar[frozenset[str]] = frozenset({"decided_at", "duration_seconds", "run_id"})
    # Whether a decision about one subject puts those about the others of its partition out of force: then one
    # that comes back after another subject's is news, and the newest of all says what is so.
    is_exclusive: ClassVar[bool] = False

    dataset: str
    partition_key: str
    decided_at: datetime = Field(default_factory=now_utc)
    duration_seconds: float = 0.0
    # The Dag run that it was decided in, `dag_id/run_id`; None outside Airflow. Trainings from before this
    # was kept have the MLflow run here.
    run_id: str | None = None

    @property
    def subject(self) -> str:
        """What else the decision is about, beside the partition; a model version, for most."""
        return ""

    @property
    def digest(self) -> str:
        """The SHA-256 of what was decided, without the facts of the run, in hex."""
        return digest_of(json.loads(self.model_dump_json(exclude=set(self.volatile))))
