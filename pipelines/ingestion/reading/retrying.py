"""Try again what may pass, a bounded number of times, with back-off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from pipelines.errors import SourceError

#: How often a source is tried before it counts as failed; the waits between are 0.5, 1, 2 s, about.
TRIES = 4
_FIRST_WAIT_SECONDS, _MAX_WAIT_SECONDS = 0.5, 20
_MAX_REASON_CHARS = 400

Given = TypeVar("Given")


def persistently(
    action: Callable[[], Given],
    *,
    what: str,
    is_transient: Callable[[BaseException], bool],
    secrets: tuple[str, ...] = (),
) -> Given:
    """Return what ``action`` returns; try again where it fails with an error that may pass.

    Parameters
    ----------
    what : str
        Names the source in the error.
    is_transient : callable
        Tells errors that may pass; any other is raised as it is.
    secrets : tuple of str
        Must not appear in the error, whatever a library puts there.

    Raises
    ------
    SourceError
        If the last try fails too; it says how many there were.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(TRIES),
        wait=tenacity.wait_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_MAX_WAIT_SECONDS)
        + tenacity.wait_random(0, _FIRST_WAIT_SECONDS / 2),
        retry=tenacity.retry_if_exception(is_transient),
        reraise=True,
    )
    try:
        return retrying(action)
    except BaseException as error:
        if not is_transient(error):
            raise
        reason = without_secrets(f"{type(error).__name__}: {error}", secrets)
        raise SourceError(
            f"{what} failed {TRIES} times, with waits between: {reason}. This is the source's failure and "
            "says nothing about its data; try again when it answers."
        ) from without_cause(error, secrets)


def without_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """Return one line of bounded length, in which no secret can be read."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return " ".join(text.split())[:_MAX_REASON_CHARS]


def without_cause(error: BaseException, secrets: tuple[str, ...]) -> BaseException | None:
    """Return the error to chain from, or None where it would print a secret."""
    return None if any(secret and secret in str(error) for secret in secrets) else error
