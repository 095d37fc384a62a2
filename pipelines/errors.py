"""The one tree of errors that Holdfast raises.

::

    HoldfastError
    ├── ConfigError        params.yaml or a HOLDFAST_* variable is wrong; a person edits it
    ├── DataError          the data is wrong; a retry reads the same data
    │   ├── SchemaError        a column is missing or has another type
    │   └── ValidationFailed   a critical expectation does not hold
    ├── NotReadyError      something that must come first has not happened yet
    ├── ConflictError      somebody else changed the same thing first; read again
    ├── IntegrityError     bytes are not what their record says
    ├── EngineError        a library or service failed; says nothing about the data
    │   └── SourceError        a source could not be read; may pass
    └── StackError         the embedded stack cannot start or stop

A refusal that is expected (a challenger that was not promoted) is a value, not an exception.
What a retry can mend is said by :attr:`HoldfastError.is_retryable`, and nowhere else.
"""

from __future__ import annotations

import unicodedata

_MAX_MESSAGE_CHARS = 2_000
# Control and format characters, halves of surrogates, and separators of lines and paragraphs.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str, *, kept: str = "") -> str:
    """Return text in which nothing can steer a terminal or forge a line of a log.

    Parameters
    ----------
    text : str
        From anywhere: a file's name, a cell.
    kept : str
        Characters to leave as they are, such as line ends.

    Examples
    --------
    >>> printable("a.csv\\x1b[2J")
    'a.csv\\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(
        sign.encode("unicode_escape").decode("ascii")
        if unicodedata.category(sign) in _STEERING and sign not in kept
        else sign
        for sign in text
    )


class HoldfastError(Exception):
    """Base of every error that Holdfast raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, which thing, and what to do next. Cut to 2,000 characters, so that
        no amount of data can flood a log, and without characters that steer a terminal.
    """

    is_retryable = False

    def __init__(self, message: str) -> None:
        message = printable(message[: _MAX_MESSAGE_CHARS + 1], kept="\n\t")
        if len(message) > _MAX_MESSAGE_CHARS:
            message = message[: _MAX_MESSAGE_CHARS - 1] + "…"
        super().__init__(message)


class ConfigError(HoldfastError):
    """The configuration is wrong; the message names the file and the key."""


class DataError(HoldfastError):
    """The data is wrong; the same data fails again, so no retry."""


class SchemaError(DataError):
    """A column is missing, or the table has another shape than declared."""


class ValidationFailed(DataError):
    """A critical expectation does not hold; the partition is not published."""


class NotReadyError(HoldfastError):
    """Something that must come first (a champion, a validated partition) is not there yet."""


class ConflictError(HoldfastError):
    """Somebody else changed the same thing first; read it again and decide anew."""

    is_retryable = True


class IntegrityError(HoldfastError):
    """Bytes are not what their record says."""


class EngineError(HoldfastError):
    """A library or a service failed; this says nothing about the data."""

    is_retryable = True


class SourceError(EngineError):
    """A source could not be read; it may pass."""


class StackError(HoldfastError):
    """The embedded stack cannot do what was asked; the message says what is in the way."""
