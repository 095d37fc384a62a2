"""The ways to people: Apprise's addresses (Slack, mail, webhooks and many more), which are secrets."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from pipelines.monitoring.telling.messages import message_text
from pipelines.records import Message

# Apprise gives up on a connection after 4 s; this bounds all of one message on one channel.
_TIMEOUT_SECONDS = 20.0
_MIN_SECRET_CHARS = 3
_MAX_REASON_CHARS = 300
_KINDS = {"critical": "failure", "warning": "warning"}
# They print addresses, or parts of them, where the process logs at its most talkative.
_TALKATIVE = ("apprise", "urllib3.connectionpool")


@dataclass(frozen=True)
class Channel:
    """One way to people.

    Parameters
    ----------
    name : str
        What it is called in logs and in the outbox: its kind, and a digest of its address.
    address : SecretStr
        Apprise's URL.
    """

    name: str
    address: SecretStr

    def send(self, message: Message) -> str | None:
        """Send a message once.

        Returns
        -------
        str or None
            None if the channel took it; else why not, without any part of the address but its host.
        """
        import apprise

        address = self.address.get_secret_value()
        with _quiet():
            service = apprise.Apprise.instantiate(address)
            if service is None:
                return f"{self.name}: this is no address that Apprise knows"
            sender = apprise.Apprise()
            sender.add(service)
            result = sender.notify(
                title=message.title,
                body=message_text(message),
                notify_type=_KINDS.get(message.severity, "info"),
                body_format=apprise.NotifyFormat.TEXT,
                timeout=_TIMEOUT_SECONDS,
            )
        if result:
            return None
        said = " ".join(str(entry.message) for service_result in result for entry in service_result.logs())
        reason = _without_secrets(said, address) or str(result.status.name).lower()
        return f"{self.name}: {reason[:_MAX_REASON_CHARS]}"


def channels_of(addresses: SecretStr) -> tuple[Channel, ...]:
    """Return the channels of addresses that are parted by white space, each once."""
    found = dict.fromkeys(addresses.get_secret_value().split())
    return tuple(Channel(_name(address), SecretStr(address)) for address in found)


def _name(address: str) -> str:
    kind = re.match(r"[a-z0-9]{1,20}(?=://)", address)
    return f"{kind[0] if kind else 'unknown'}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _without_secrets(text: str, address: str) -> str:
    """Return what Apprise says, with all parts of the address but its host blotted out."""
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    parts = {part for form in (address, unquote(address)) for part in re.split(r"[^\w.%~-]+", form)}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _MIN_SECRET_CHARS and part != host:
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "***", text)
    return text


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries say of an address out of every log."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [(logger.propagate, logger.level) for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.setLevel(logging.WARNING)
        if not logger.handlers:  # a logger without any would print to stderr
            logger.addHandler(logging.NullHandler())
    try:
        yield
    finally:
        for logger, (propagate, level) in zip(loggers, before, strict=True):
            logger.propagate = propagate
            logger.setLevel(level)
