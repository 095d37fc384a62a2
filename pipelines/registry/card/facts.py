"""All that a model card is written from."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.records import ChampionMove, Evaluation, GateRecord, PerformanceRecord, Speed, WatchRecord
from pipelines.registry.row_passport import ModelOrigin


@dataclass(frozen=True)
class CardFacts:
    """What is on record about a version.

    Parameters
    ----------
    evaluation, speed
        What was measured of it; None where it was not, and then ``unmeasured`` says why.
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
    """

    dataset: str
    origin: ModelOrigin
    evaluation: Evaluation | None = None
    speed: Speed | None = None
    unmeasured: str = ""
    gates: tuple[GateRecord, ...] = ()
    moves: tuple[ChampionMove, ...] = ()
    aliases: tuple[str, ...] = ()
    performances: tuple[PerformanceRecord, ...] = ()
    watches: tuple[WatchRecord, ...] = ()

    @property
    def model_version(self) -> str:
        """The version that the card is about."""
        return self.origin.model_version
