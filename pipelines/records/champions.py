"""What is said of the champion's record: whether it is whole, who was champion when, what was set right."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pipelines.records.base import Decision, Record
from pipelines.records.models import ChampionMove, GateRecord


class ChainHead(Record):
    """The newest move of a chain, as it is anchored outside of the ledger."""

    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.sequence} {self.digest}"

    @classmethod
    def parse(cls, text: str) -> ChainHead | None:
        """Return the head that a text says; None if it says none."""
        sequence, _, digest = text.partition(" ")
        return cls(sequence=int(sequence), digest=digest) if sequence.isdecimal() and digest else None


class ChainBreak(Record):
    """One place where the record is not what was written; ``sequence`` 0 where it is of no one move."""

    sequence: int
    problem: str


class ChainReport(Record):
    """Whether the champion's record of a dataset is what was written, move by move.

    ``head`` is the newest move, ``anchor`` what MLflow was told of the newest move last; None where there
    is none. ``alias`` is where MLflow's alias points, ``not_checked`` what could not be looked at, and why.
    """

    dataset: str
    n_moves: int
    head: ChainHead | None
    anchor: ChainHead | None
    breaks: tuple[ChainBreak, ...]
    alias: str | None = None
    not_checked: str = ""

    @property
    def is_intact(self) -> bool:
        """Whether nothing is broken."""
        return not self.breaks


class ChampionNote(Decision):
    """A note beside the champion's moves: something that was not a move, and was seen or set right.

    ``alias``: MLflow's alias pointed at ``found``, which the ledger did not decide, and was put back to
    ``restored``. ``anchor``: a person took the record as it is for the true one (a restored backup).
    ``chain``: an older ledger's moves were chained when it was opened by this version.
    """

    kind: ClassVar[str] = "champion_note"

    about: Literal["alias", "anchor", "chain"]
    found: str | None
    restored: str | None
    sequence: int
    actor: str
    reason: str
    noticed_at: datetime

    @property
    def subject(self) -> str:
        return self.about


class Reign(Record):
    """Who was champion at a moment or for a night, since when, until when, by whose decision and why.

    ``evidence`` is of the promotion that made the version champion; None if there is none on record.
    ``scored_by`` is of a night: whose predictions are in force for it, which may be another version's; None
    if it was not scored, or a moment was asked for.
    """

    dataset: str
    asked: str
    move: ChampionMove | None
    until: datetime | None = None
    evidence: GateRecord | None = None
    scored_by: str | None = None
