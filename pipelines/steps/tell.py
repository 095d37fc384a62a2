"""Tell people of an incident: once, whoever asks and however often."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from textwrap import indent

from pipelines.ledger.outbox import MAX_ATTEMPTS
from pipelines.monitoring.telling.channels import Channel, channels_of
from pipelines.monitoring.telling.messages import (
    PAGES,
    EpisodeEvent,
    alias_message,
    approval_message,
    breaker_message,
    broken_record_message,
    episode_key,
    episode_message,
    failed_run_message,
    message_text,
    rollback_message,
    trial_message,
)
from pipelines.records import (
    Breaker,
    ChainReport,
    ChampionMove,
    ChampionNote,
    Episode,
    GateRecord,
    Message,
)
from pipelines.runtime import Runtime

_log = logging.getLogger(__name__)

# A channel that is out of order for a moment; what lasts longer waits for the next night.
_PAUSES_SECONDS = (1.0, 4.0)
_LOG = "log"


def tell(message: Message, *, runtime: Runtime, pauses: Sequence[float] = _PAUSES_SECONDS) -> Message:
    """Write a message down, and send it unless it has been sent; a repeat sends nothing.

    It always goes to the log, and to every address in ``HOLDFAST_NOTIFY_URLS``. Where an address does not
    take it, it is tried again at once, and by :func:`tell_unsent` on later nights, eight times in all; an
    address that has taken it is not asked again. Nothing that a channel does raises an error.

    Parameters
    ----------
    message : Message
        One of :mod:`pipelines.monitoring.telling.messages`; its key tells it apart.
    pauses : sequence of float
        Seconds to wait before each further try.

    Returns
    -------
    Message
        As it is on record now.
    """
    outbox = runtime.ledger.outbox
    if outbox.put(message):
        level = logging.INFO if message.severity in ("none", "info") else logging.WARNING
        # Indented: a line end in what somebody else wrote must not begin a line of the log.
        _log.log(level, "%s\n%s", message.title, indent(message_text(message), "    "))
    for pause in (0.0, *pauses):
        time.sleep(pause)
        claimed = outbox.claim(message.key)
        if claimed is None or _send(claimed, runtime).sent_at is not None:
            break
    return outbox.get(message.key) or message


def _send(message: Message, runtime: Runtime) -> Message:
    """Send a message that this process has claimed, to whoever has not had it."""
    channels = channels_of(runtime.settings.notify_urls)
    delivered, errors = [_LOG], []
    for channel in channels:
        error = None if channel.name in message.delivered_to else _tried(channel, message)
        if error is None:
            delivered.append(channel.name)
        else:
            errors.append(error)
    if not errors:
        return runtime.ledger.outbox.mark_sent(message, delivered_to=delivered)
    reasons = "; ".join(errors)
    left = MAX_ATTEMPTS - message.n_attempts
    _log.warning(
        "The message %r did not arrive (try %d): %s. %s",
        *(message.title, message.n_attempts, reasons),
        f"{left} tries are left." if left else "It is given up: `holdfast messages list` shows it.",
    )
    return runtime.ledger.outbox.mark_failed(message, error=reasons, delivered_to=delivered)


def _tried(channel: Channel, message: Message) -> str | None:
    try:
        return channel.send(message)
    except Exception as error:  # noqa: BLE001 - no channel, and no library for it, stops a night
        return f"{channel.name}: {type(error).__name__}"


def tell_unsent(*, runtime: Runtime) -> int:
    """Try once more to send what has not been sent; return how many messages have been sent now."""
    outbox = runtime.ledger.outbox
    claimed = (outbox.claim(message.key) for message in outbox.unsent())
    return sum(_send(message, runtime).sent_at is not None for message in claimed if message is not None)


def tell_episode(episode: Episode, *, runtime: Runtime) -> Message | None:
    """Tell of an episode what has not been told of it.

    An episode that is only put on record wakes nobody. One that is worth a page is told when it opens, or
    when it becomes so (``record`` to ``retrain`` or ``investigate``, ``retrain`` to ``investigate``), and
    again when it is over.

    Returns
    -------
    Message or None
        The message; None where there is nothing to tell. A repeat gives the same and sends nothing.
    """
    told = {event for event in PAGES if runtime.ledger.outbox.get(episode_key(episode, event))}
    if episode.status == "closed":
        event: EpisodeEvent | None = "closed" if told else None
    else:
        event = episode.action if episode.action != "record" else None
    if event is None:
        return None
    message = episode_message(episode, event, is_worse=bool(told - {event}), pages=_pages(runtime))
    return tell(message, runtime=runtime)


def tell_breaker(breaker: Breaker, *, partition_key: str, runtime: Runtime) -> Message:
    """Tell that retraining has stopped and waits for a person."""
    return tell(breaker_message(breaker, partition_key, pages=_pages(runtime)), runtime=runtime)


def tell_failed_run(dataset: str, partition_key: str, *, run: str, why: str, runtime: Runtime) -> Message:
    """Tell that a run has failed for good; ``run`` tells runs apart."""
    message = failed_run_message(dataset, partition_key, run=run, why=why, pages=_pages(runtime))
    # Airflow ends the process of a callback after 50 seconds; later nights try again.
    return tell(message, runtime=runtime, pauses=_PAUSES_SECONDS[:1])


def tell_promotion_waits(gate: GateRecord, *, runtime: Runtime) -> Message:
    """Tell that a challenger passed its gates and waits for a person."""
    return tell(approval_message(gate, pages=_pages(runtime)), runtime=runtime)


def tell_rollback(move: ChampionMove, *, runtime: Runtime, nights: Sequence[str] = ()) -> Message:
    """Tell that the champion was rolled back, and which nights are still of the version before."""
    return tell(rollback_message(move, pages=_pages(runtime), nights=nights), runtime=runtime)


def tell_alias(note: ChampionNote, *, runtime: Runtime) -> Message:
    """Tell that MLflow's alias of the champion was moved by hand, and put back."""
    return tell(alias_message(note, pages=_pages(runtime)), runtime=runtime)


def tell_broken_record(report: ChainReport, *, partition_key: str, runtime: Runtime) -> Message:
    """Tell that the champion's record is not what was written; the same finding once."""
    message = broken_record_message(report, partition_key, pages=_pages(runtime))
    return tell(message, runtime=runtime)


def tell_trial(*, runtime: Runtime) -> dict[str, str | None]:
    """Send every channel a message that only tries whether it arrives; it is not kept, and tried once.

    Returns
    -------
    dict
        By channel why it did not take the message; None where it did.
    """
    message = trial_message(pages=_pages(runtime))
    return {channel.name: _tried(channel, message) for channel in channels_of(runtime.settings.notify_urls)}


def _pages(runtime: Runtime) -> str:
    return runtime.settings.pages_url.rstrip("/")
