"""The few building blocks of every page; whatever comes from the data is escaped and cut to size here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from re import compile as compile_pattern

from pipelines.pages.style import STYLE

_NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'"
_CODE = compile_pattern(r"`([^`]+)`")
# Each state has a mark beside its colour, so that it can be told without seeing colours.
MARKS = {"calm": "●", "info": "◇", "warning": "▲", "critical": "◆", "none": "○"}


def shown(text: object, limit: int = 160) -> str:
    """Return ``text`` as HTML that takes at most ``limit`` bytes, or a few more for the mark of a cut.

    The limit is on what is written, not on the characters: of a name made of quotation marks fewer fit.
    """
    plain = _encodable(str(text)[: limit + 1])
    safe = escape(plain)
    if len(plain) <= limit and len(safe.encode()) <= limit:
        return safe
    pieces, room = [], limit
    for piece in map(escape, plain):
        room -= len(piece.encode())
        if room < 0:
            break
        pieces.append(piece)
    return "".join(pieces) + "…"


def prose(text: str, limit: int = 600) -> str:
    """Return sentences of ours as HTML, what is between backticks in them as code."""
    return _CODE.sub(r"<code>\1</code>", shown(text, limit))


def page(title: str, body: str, *, trail: Sequence[tuple[str, str | None]] = (), style: str = STYLE) -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML; what it took from the data went through :func:`shown`.
    trail : sequence of (str, str or None)
        Where the page is: the text of each step, and its address unless it is the page itself.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NO_SCRIPTS}">\n'
        f"<title>{shown(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#content">Skip to the content</a>\n{trail_bar(trail)}'
        f'<main id="content">\n{body}\n</main>\n</body>\n</html>\n'
    )


def trail_bar(trail: Sequence[tuple[str, str | None]]) -> str:
    """Return the bar that says where the page is, each step above it a link."""
    if not trail:
        return ""
    steps = [
        f'<span aria-current="page">{shown(text)}</span>' if address is None else link(text, address)
        for text, address in trail
    ]
    separator = ' <span class="sep" aria-hidden="true">/</span> '
    return f'<header class="top"><nav aria-label="Where you are">{separator.join(steps)}</nav></header>\n'


def link(text: str, address: str) -> str:
    """Return a link; the address is one of ours."""
    return f'<a href="{escape(address, quote=True)}">{shown(text)}</a>'


def badge(style: str, text: str) -> str:
    """Return a state as a pill: a mark, a word and a colour. ``style`` is one of ``MARKS``."""
    mark = MARKS.get(style, MARKS["none"])
    return f'<span class="badge {style}"><span aria-hidden="true">{mark}</span>{shown(text)}</span>'


def bullets(texts: Sequence[str], *, most: int = 20, limit: int = 600) -> str:
    """Return a list of sentences, cut after ``most`` of them; nothing for none."""
    if not texts:
        return ""
    items = "".join(f"<li>{prose(text, limit)}</li>" for text in texts[:most])
    more = len(texts) - most
    return f"<ul>{items}{f'<li>and {more:,} more</li>' if more > 0 else ''}</ul>"


def facts(pairs: Iterable[tuple[str, str, str]]) -> str:
    """Return labelled figures: name, value and small print of each, all of them HTML already."""
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{value}{f'<small>{note}</small>' if note else ''}</dd></div>"
        for name, value, note in pairs
    )
    return f'<dl class="facts">{cells}</dl>'


def table(head: Sequence[str], rows: str, *, numbers: Iterable[str] = (), caption: str = "") -> str:
    """Return a table that scrolls within itself; ``numbers`` are the heads of its columns of figures."""
    right = frozenset(numbers)
    cells = "".join(
        f'<th scope="col"{" class=number" if name in right else ""}>{escape(name)}</th>' for name in head
    )
    label = f"<caption>{shown(caption, 300)}</caption>" if caption else ""
    whole = f"{label}<thead><tr>{cells}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{whole}</table></div>'


def number(value: float, digits: int = 3) -> str:
    """Return a figure to so many places, and ``∞`` or a dash where there is none to give."""
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.3g}"


def probability(value: float) -> str:
    """Return a p- or q-value: small ones as a bound, so that nothing is said to be impossible."""
    return "< 0.0001" if value < 0.0001 else number(value, 4)


def share(value: float) -> str:
    """Return a share as a percentage; a small one keeps a figure that can be told from zero."""
    if value != value:
        return "–"
    return f"{value:.1%}" if 0 < abs(value) < 0.1 else f"{value:.0%}"


def seconds(value: float) -> str:
    """Return a duration as a person would say it."""
    if value < 0.95:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 60 else f"{int(value // 60)} min {int(value % 60)} s"


def counted(n: int, one: str, many: str = "") -> str:
    """Return a count with its noun: ``1 night``, ``2 nights``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _encodable(text: str) -> str:
    """Return ``text`` without lone surrogates, which no file can hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")
