"""HTML that cannot do anything: only known tags and attributes are let through.

Great Expectations writes values of the data into its pages as they are, and loads scripts and
styles from public networks. What passes here has no script, no style, no event handler and no
address outside the page, whatever the data holds.
"""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

_TEXT_TAGS = {"a", "b", "br", "code", "em", "hr", "i", "small", "span", "strong", "sub", "sup", "u"}
_BLOCK_TAGS = {
    "blockquote",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "ul",
}
_TABLE_TAGS = {"table", "tbody", "td", "tfoot", "th", "thead", "tr"}
_TAGS = frozenset(_TEXT_TAGS | _BLOCK_TAGS | _TABLE_TAGS)
_VOID_TAGS = frozenset({"br", "hr"})
_ATTRIBUTES = frozenset({"class", "colspan", "hidden", "id", "rowspan", "title"})
# What is inside of these is no text for people.
_MUTE_TAGS = frozenset(
    {"iframe", "math", "noscript", "object", "script", "style", "svg", "template", "textarea", "title"}
)


def inert(html: str) -> str:
    """Return ``html`` with nothing but inert markup and text.

    Parameters
    ----------
    html : str
        A fragment from anywhere.

    Returns
    -------
    str
        Known tags and attributes, written anew; all text, escaped. Links lead into the page or nowhere.

    Examples
    --------
    >>> inert('<td onclick="x()">7 &lt; 8<script>alert(1)</script><img src=x></td>')
    '<td>7 &lt; 8</td>'
    """
    writer = _InertWriter()
    writer.feed(html)
    writer.close()
    return "".join(writer.parts)


class _InertWriter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._mute: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _MUTE_TAGS:
            self._mute.append(tag)
        if self._mute or tag not in _TAGS:
            return
        kept = [
            f' {name}="{escape(value or "")}"'
            for name, value in attrs
            if name in _ATTRIBUTES or (name == "href" and (value or "").startswith("#"))
        ]
        self.parts.append(f"<{tag}{''.join(kept)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID_TAGS:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._mute:
            while self._mute.pop() != tag:
                pass
        elif not self._mute and tag in _TAGS - _VOID_TAGS:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._mute:
            self.parts.append(escape(data))
