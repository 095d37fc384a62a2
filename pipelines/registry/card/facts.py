"""All that a model card is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.records import (
    ChampionMove,
    Evaluation,
    GateRecord,
    PerformanceRecord,
    Selection,
    Speed,
    WatchRecord,
)
from pipelines.registry.plot_files import Plot
from pipelines.registry.row_passport import ModelOrigin


@dataclass(frozen=True)
class CardFacts:
    """What is on record about a version.

    Parameters
    ----------
    evaluation, speed
        What was measured of it; None where it was not.
    selection : Selection or None
        How it was found among its candidates.
    plots : mapping of str to Plot
        What its holdout showed, by file name.
    missing : mapping of str to str
        Why ``evaluation``, ``selection`` or ``plots`` can't be had.
    gates : tuple of GateRecord
        Every decision about it, oldest first.
    moves : tuple of ChampionMove
        The whole history of the dataset's champion, oldest first.
    aliases : tuple of str
        Those that point at it.
    performances : tuple of PerformanceRecord
        How the nights that it scored did, by night.
    watches : tuple of WatchRecord
        What was seen after its promotions, oldest first.
    said : tuple of str
        What people said of it, oldest first, and how far it has come in the shadow.
    """

    dataset: str
    origin: ModelOrigin
    evaluation: Evaluation | None = None
    speed: Speed | None = None
    selection: Selection | None = None
    plots: Mapping[str, Plot] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[GateRecord, ...] = ()
    moves: tuple[ChampionMove, ...] = ()
    aliases: tuple[str, ...] = ()
    performances: tuple[PerformanceRecord, ...] = ()
    watches: tuple[WatchRecord, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def model_version(self) -> str:
        """The version that the card is about."""
        return self.origin.model_version
