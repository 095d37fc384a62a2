"""All that is on record of a dataset, of its nights and of one column, as the pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.ledger.figures import EpisodeFigures
from pipelines.records import (
    ChampionMove,
    ColumnDrift,
    DriftRecord,
    Episode,
    IngestionRecord,
    PerformanceRecord,
    Retraining,
    ScoringRecord,
    Trigger,
    ValidationRecord,
)


@dataclass(frozen=True)
class DatasetHealth:
    """How a dataset and its model fare, as of the newest night; what has not happened yet is None.

    Parameters
    ----------
    recent : mapping of str to DriftRecord or None
        The newest nights, oldest first; None where there is no verdict.
    performance : PerformanceRecord or None
        Of the newest cohort whose labels are complete.
    pages : mapping of str to str
        The text of each link to what libraries drew of the night, and the name of the file.
    """

    dataset: str
    description: str
    night: str | None = None
    ingestion: IngestionRecord | None = None
    validation: ValidationRecord | None = None
    scoring: ScoringRecord | None = None
    drift: DriftRecord | None = None
    champion: ChampionMove | None = None
    performance: PerformanceRecord | None = None
    metric: str = ""
    figures: EpisodeFigures | None = None
    episode: Episode | None = None
    retraining: Retraining | None = None
    recent: Mapping[str, DriftRecord | None] = field(default_factory=dict)
    pages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DriftHistory:
    """The verdicts on a dataset's last nights, and what was done about them.

    Parameters
    ----------
    nights : tuple of str
        Oldest first; those that were validated or judged.
    records : mapping of str to DriftRecord
        By night.
    measured : mapping of str to float
        The primary metric of each cohort whose labels are complete.
    older : str or None
        The last night before those that are shown, if there is any.
    newest : bool
        Whether the last night shown is the last one there is.
    """

    dataset: str
    description: str
    nights: tuple[str, ...] = ()
    records: Mapping[str, DriftRecord] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    episodes: tuple[Episode, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    moves: tuple[ChampionMove, ...] = ()
    older: str | None = None
    newest: bool = True
    first_column: int = 0


@dataclass(frozen=True)
class Histogram:
    """A column's distribution in the reference and in the night's window: shares of the rows with a value.

    Of a numeric column bin ``i`` is from ``edges[i]`` to ``edges[i + 1]``; of a categorical one it is
    ``labels[i]``.
    """

    edges: tuple[float, ...]
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of one column on one night.

    Parameters
    ----------
    drifts : tuple of ColumnDrift
        Each thing that is watched of it.
    history : mapping of str to ColumnDrift or None
        Of the nights up to this one, oldest first, what moved farthest; None where it was not judged.
    rate : float
        The false-discovery rate that the q-values are held against.
    before, after : str or None
        The nights beside this one that have a verdict.
    """

    dataset: str
    night: str
    column: str
    record: DriftRecord
    drifts: tuple[ColumnDrift, ...]
    histogram: Histogram | None = None
    history: Mapping[str, ColumnDrift | None] = field(default_factory=dict)
    rate: float = 0.01
    episode: Episode | None = None
    triggers: tuple[Trigger, ...] = ()
    before: str | None = None
    after: str | None = None
    pages: Mapping[str, str] = field(default_factory=dict)
