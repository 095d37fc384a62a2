"""All that is on record of one night, as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.records import (
    DriftRecord,
    Episode,
    IngestionRecord,
    PerformanceRecord,
    ScoringRecord,
    StageValidationRecord,
    Trigger,
    ValidationRecord,
)


@dataclass(frozen=True)
class QuarantinedRow:
    """One row of a quarantine, and the value that a rule keeps it for: text of at most 200 characters."""

    quarantine_id: str
    row_id: str | None
    source_file: str | None
    source_line: int | None
    value: str


@dataclass(frozen=True)
class QuarantinedRule:
    """How many rows of a stage one rule keeps in quarantine, and the first of them."""

    stage: str
    rule: str
    column: str
    severity: str
    n_rows: int
    examples: tuple[QuarantinedRow, ...]


@dataclass(frozen=True)
class NightFacts:
    """What is known of a night; what has not happened yet is None or empty.

    Parameters
    ----------
    quarantine : tuple of QuarantinedRule
        By stage, those with the most rows first.
    notes : tuple of str
        What a person should know or do, a sentence or two each.
    links : mapping of str to str
        The text of each link, and the relative address that it leads to.
    columns : mapping of str to str
        The address of a column's own page, where there is one.
    trail : tuple of (str, str or None)
        Where the page is among the others; empty for a page that stands alone.
    shows_costs : bool
        Whether to say when each stage was decided and what it took: facts of a run, which a file that is the
        same on every repeat leaves out.
    """

    dataset: str
    partition_key: str
    ingestion: IngestionRecord | None = None
    validation: ValidationRecord | None = None
    stages: tuple[StageValidationRecord, ...] = ()
    scoring: ScoringRecord | None = None
    drift: DriftRecord | None = None
    performance: PerformanceRecord | None = None
    quarantine: tuple[QuarantinedRule, ...] = ()
    notes: tuple[str, ...] = ()
    episode: Episode | None = None
    triggers: tuple[Trigger, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    trail: tuple[tuple[str, str | None], ...] = ()
    shows_costs: bool = False
