"""Bytes of any encoding to UTF-8, piece by piece; what can't be decoded is marked, not refused."""

from __future__ import annotations

import codecs

#: Stands for bytes that can't be decoded: a character that no text may hold (a noncharacter).
MARKER = "\ufdd0"
MARKER_BYTES = MARKER.encode()
_BYTE_ORDER_MARK = "\ufeff".encode()
_HANDLER = "holdfast.mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - registered for decoding alone
    return MARKER, error.end


codecs.register_error(_HANDLER, _mark)


class Decoder:
    """Decode a stream of pieces to UTF-8, without its byte order mark.

    Parameters
    ----------
    encoding : str
        A codec's name.

    Attributes
    ----------
    has_marked : bool
        Whether the last piece held bytes that can't be decoded; each run of them is a
        :data:`MARKER` in the text.
    """

    def __init__(self, encoding: str) -> None:
        self._is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=_HANDLER)
        self._carry = b""
        self._is_at_start = True
        self.has_marked = False

    def decode(self, piece: bytes, *, is_last: bool) -> bytes:
        """Return the UTF-8 text of the next piece; a character that is cut off waits for the next."""
        text = self._checked(piece, is_last) if self._is_utf8 else self._recoded(piece, is_last)
        if self._is_at_start and text:
            self._is_at_start = False
            text = text.removeprefix(_BYTE_ORDER_MARK)
        return text

    def _checked(self, piece: bytes, is_last: bool) -> bytes:
        # Text that is UTF-8 already is only looked at: that is four times as fast as recoding it.
        piece = self._carry + piece
        try:
            _, n_used = codecs.utf_8_decode(piece, "strict", is_last)
            text, self.has_marked = piece[:n_used], False
        except UnicodeDecodeError:
            decoded, n_used = codecs.utf_8_decode(piece, _HANDLER, is_last)
            text, self.has_marked = decoded.encode(), True
        self._carry = piece[n_used:]
        return text

    def _recoded(self, piece: bytes, is_last: bool) -> bytes:
        # Some codecs give lone surrogates, which are no text either.
        decoded = self._decoder.decode(piece, is_last)
        try:
            text = decoded.encode()
        except UnicodeEncodeError:
            text = decoded.encode("utf-16", "surrogatepass").decode("utf-16", _HANDLER).encode()
        self.has_marked = MARKER_BYTES in text
        return text
