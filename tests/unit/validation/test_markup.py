"""Markup: nothing gets through that could run, load or lead out of the page."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.validation.markup import inert


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param('<p class="a" id="b" title="c">x</p>', '<p class="a" id="b" title="c">x</p>', id="kept"),
        pytest.param("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c", id="text-stays-text"),
        pytest.param("</script><script>alert(1)</script>x", "x", id="script"),
        pytest.param("<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)", id="script-in-a-tag-name"),
        pytest.param('<i onclick="x()" style="a:b">x</i>', "<i>x</i>", id="handler-and-style"),
        pytest.param('<img src=x onerror="alert(1)">x', "x", id="image"),
        pytest.param('<a href="javascript:alert(1)">x</a>', "<a>x</a>", id="script-address"),
        pytest.param('<a href="https://example.org">x</a>', "<a>x</a>", id="address-outside"),
        pytest.param('<a href="#there">x</a>', '<a href="#there">x</a>', id="address-in-the-page"),
        pytest.param("<link rel=stylesheet href=//x><meta charset=x><base href=//x>y", "y", id="head-matter"),
        pytest.param("<svg><a><b>x</b></a></svg>y", "y", id="svg"),
        pytest.param("<style>p{}</style><script>if (a < b) x</script>y", "y", id="style-and-script-text"),
        pytest.param("<svg><style></svg><i>x</i></style>y", "", id="crossed-tags-stay-mute"),
        pytest.param(
            '<p title="&quot;><script>">x</p>', '<p title="&quot;&gt;&lt;script&gt;">x</p>', id="quoted"
        ),
        pytest.param("a<br/>b<hr>c<div/>d", "a<br>b<hr>cd", id="void-tags"),
        pytest.param("<!-- <script> --><!DOCTYPE x><?php x ?>y", "y", id="no-element"),
    ],
)
def test_only_inert_markup_gets_through(html: str, expected: str) -> None:
    assert inert(html) == expected


class Reader(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag} | {f"@{name}" for name, _ in attrs}


TAGS = ["<script>", "</script>", "<b>", "</b>", "<svg>", "</svg>", "<style>", "<img src=x onerror=y>"]
BROKEN = ["<p title=", "<a href=", "<!--", "-->", "<", ">", '"', "'", "=", "/", " ", "onload"]
PIECES = st.sampled_from([*TAGS, *BROKEN, "&lt;script&gt;", "&#60;script>", "text"])


@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_combination_of_pieces_brings_anything_alive(html: str) -> None:
    reader = Reader()
    reader.feed(inert(html))
    reader.close()
    assert reader.seen <= {"a", "b", "p", "@title", "@href"}


@given(st.text(max_size=60))
def test_escaped_text_stays_as_it_is(text: str) -> None:
    assert inert(f"<p>{escape(text)}</p>") == f"<p>{escape(text)}</p>"
