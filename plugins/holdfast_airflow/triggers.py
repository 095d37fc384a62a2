"""What the triggerer waits for, on behalf of deferred tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pipelines.errors import HoldfastError

if TYPE_CHECKING:
    from pipelines.ledger.ledger import Ledger


# Whoever decides gives up what is abandoned, and hands on again what was lost: now and then it has to look.
_LOOK_AGAIN_SECONDS = 3600.0


class RetrainingFinishedTrigger(BaseTrigger):
    """Fire once no retraining of a dataset is under way, or after an hour: it may have been lost.

    It keeps nothing: a triggerer that starts it anew looks into the ledger again.

    Parameters
    ----------
    dataset : str
        A dataset of ``params.yaml``.
    poll_seconds : float
        How long to wait between two looks.
    patience_seconds : float
        When to fire though a retraining is under way.
    """

    def __init__(
        self, dataset: str, poll_seconds: float, patience_seconds: float = _LOOK_AGAIN_SECONDS
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dataset = dataset
        self.poll_seconds = poll_seconds
        self.patience_seconds = patience_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger again, in another process."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {
            "dataset": self.dataset,
            "poll_seconds": self.poll_seconds,
            "patience_seconds": self.patience_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep and look again; each look is in a thread, since a database may be slow."""
        started = time.monotonic()
        ledger = await asyncio.to_thread(_open_ledger)
        try:
            while await self._is_under_way(ledger):
                if time.monotonic() - started > self.patience_seconds:
                    break
                await asyncio.sleep(self.poll_seconds)
        finally:
            ledger.close()
        yield TriggerEvent({"dataset": self.dataset})  # type: ignore[no-untyped-call]

    async def _is_under_way(self, ledger: Ledger) -> bool:
        try:
            return await asyncio.to_thread(ledger.retraining_in_flight, self.dataset) is not None
        except HoldfastError as error:
            if not error.is_retryable:
                raise
            self.log.warning("Can't look into the ledger now, and will look again: %s", error)
            return True


def _open_ledger() -> Ledger:
    from pipelines.config import load_settings
    from pipelines.ledger.ledger import Ledger

    return Ledger(load_settings().ledger_url)
