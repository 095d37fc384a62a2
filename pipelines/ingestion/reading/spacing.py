"""Tables whose cells stand apart by runs of spaces and tabs: each run becomes one tab."""

from __future__ import annotations

import re

_RUN = re.compile(rb"[ \t]+")
_AROUND = re.compile(rb"^\t|\t(?=\r?$)", re.M)
# A line without an end is not waited for beyond so many bytes.
_MAX_WAITING_BYTES = 1 << 25


class Spacing:
    """Give single tabs for runs of spaces and tabs; none around a line, and none within quotes.

    Parameters
    ----------
    quote : str, optional
        What a cell with spaces in it stands between, on one line.
    """

    def __init__(self, quote: str | None) -> None:
        self._quote = quote.encode() if quote else None
        mark = re.escape(self._quote or b"")
        self._quoted = re.compile(mark + rb"[^\r\n" + mark + rb"]*" + mark + rb"|([ \t]+)")
        self._waiting = b""

    def single_tabs(self, text: bytes, *, is_last: bool) -> bytes:
        """Return the whole lines of the next text; a line that is cut off waits for the next."""
        text = self._waiting + text
        end = text.rfind(b"\n") + 1 or text.rfind(b"\r") + 1
        if is_last or (not end and len(text) > _MAX_WAITING_BYTES):
            end = len(text)
        text, self._waiting = text[:end], text[end:]
        if self._quote is not None and self._quote in text:
            single = self._quoted.sub(lambda found: b"\t" if found[1] else found[0], text)
        else:
            single = _RUN.sub(b"\t", text)
        return _AROUND.sub(b"", single)
