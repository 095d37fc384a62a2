"""Records that are no rows: the reasons, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.ingestion.reading.decoding import MARKER

NUL = "NUL byte"
UNDECODABLE = "undecodable bytes"
OVERSIZE = "cell too long"
_MAX_TEXT_CHARS = 200


@dataclass(frozen=True)
class Reject:
    """A record that is no row: where it starts, why, and its bytes (UTF-8)."""

    line: int
    reason: str
    text: bytes

    def __str__(self) -> str:
        """Return the reason and the start of the text, without characters that no text may hold."""
        # A character takes at most four bytes.
        start = self.text[: 4 * _MAX_TEXT_CHARS].decode(errors="ignore").rstrip("\r\n")
        shown = start.replace(MARKER, "\ufffd").replace("\0", "\ufffd")
        return f"{self.reason}: {shown[:_MAX_TEXT_CHARS]}"


def ragged(n_cells: int, n_columns: int) -> str:
    """Return the reason that a record has another number of cells than there are columns."""
    return f"too {'few' if n_cells < n_columns else 'many'} cells ({n_cells} of {n_columns})"
