"""Names and texts as SQL has them, quoted."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Return ``name`` quoted as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` quoted as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
