"""A document says the same on a page, in Markdown and on a terminal, and its texts are only texts."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pages.document import (
    Bullets,
    Chart,
    Document,
    Fact,
    Facts,
    Link,
    Mark,
    Prose,
    Section,
    Series,
    Table,
)
from pipelines.pages.document_markdown import document_markdown
from pipelines.pages.document_page import document_page
from pipelines.pages.document_text import document_text

HOSTILE = "</td><script>alert(1)</script>|`[x](javascript:1)\n# head\x1b[2J"
WRITERS = {"page": document_page, "markdown": document_markdown, "text": document_text}


def document(text: str) -> Document:
    """Return a document with a text in every place."""
    return Document(
        text,
        [
            Section(
                text,
                [
                    Prose(text, "warning"),
                    Bullets([text, "run `holdfast night`"]),
                    Facts([Fact(text, text, text), Fact("link", Link(text, "../models/a%20b"))]),
                    Chart(
                        text,
                        text,
                        text,
                        [Series(text, [(0.0, 1.0), (1.0, 2.0)])],
                        Table(("a",), [[text]]),
                        steps=[text, text],
                    ),
                    Table(
                        ("a", "b"), [[text, Mark("critical", text)], ["1", "2"]], numbers=("b",), caption=text
                    ),
                ],
            )
        ],
        marks=[Mark("calm", text)],
        lead=[Prose(text)],
    )


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.add(tag)


def test_a_hostile_text_is_only_text_on_a_page() -> None:
    page = document_page(document(HOSTILE))
    assert "script" not in _Tags(page).tags
    assert "<script>" not in page


def test_a_hostile_text_is_only_text_in_markdown() -> None:
    written = document_markdown(document(HOSTILE))
    assert "<script>" not in written.replace("\\<script\\>", "")
    assert "\n# head" not in written
    assert "](javascript:1)" not in written.replace("\\](", "").replace("\\]\\(", "")
    table = [line for line in written.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in table} == {2, 3}


def test_a_hostile_text_steers_no_terminal() -> None:
    written = document_text(document(HOSTILE))
    assert "\x1b" not in written
    assert all(line.isprintable() for line in written.splitlines())


@pytest.mark.parametrize("name", WRITERS)
def test_every_part_is_written(name: str) -> None:
    written = WRITERS[name](document("wind speed"))
    assert written.count("wind speed") >= 13
    assert "holdfast night" in written


@given(st.text(max_size=40))
def test_any_text_can_be_written(text: str) -> None:
    for write in WRITERS.values():
        assert write(document(text))


def test_commands_stay_code_in_markdown_and_on_a_page() -> None:
    asked = Document("t", [Section("s", [Prose("Run `holdfast score toy` now.")])])
    assert "Run `holdfast score toy` now." in document_markdown(asked)
    assert "<code>holdfast score toy</code>" in document_page(asked)


def test_a_table_of_very_many_rows_is_cut_on_a_page_and_says_so() -> None:
    long = Document("t", [Section("s", [Table(("n",), [[str(n)] for n in range(1_000)])])])
    assert "and 700 more" in document_page(long)


def test_charts_that_follow_one_another_stand_side_by_side_and_their_figures_can_be_opened() -> None:
    chart = Chart("t", "x", "y", [Series("s", [(0.0, 1.0)])], Table(("head",), [["1"]]))
    page = document_page(Document("d", [Section("s", [chart, chart, Prose("between"), chart])]))
    assert page.count('<div class="charts">') == 2
    assert page.count("<details>") == 3


def test_a_chart_beside_a_table_of_its_own_is_no_second_table_in_markdown() -> None:
    chart = Chart("title", "x", "y", [Series("s", [(0.0, 1.0)])])
    asked = Document("d", [Section("s", [chart])])
    assert "title" not in document_markdown(asked)
    assert "title" not in document_text(asked)
    assert "<details>" not in document_page(asked)
