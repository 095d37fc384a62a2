"""What the triggerer waits for, on behalf of deferred tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from pipelines.errors import HoldfastError

if TYPE_CHECKING:
    from pipelines.ledger.ledger import Ledger


class RetrainingFinishedTrigger(BaseTrigger):
    """Fire once no retraining of a dataset is under way.

    It keeps nothing: a triggerer that starts it anew looks into the ledger again.

    Parameters
    ----------
    dataset : str
        A dataset of ``params.yaml``.
    poll_seconds : float
        How long to wait between two looks.
    """

    def __init__(self, dataset: str, poll_seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dataset = dataset
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger again, in another process."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"dataset": self.dataset, "poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep and look again; each look is in a thread, since a database may be slow."""
        ledger = await asyncio.to_thread(_open_ledger)
        try:
            while await self._is_under_way(ledger):
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
