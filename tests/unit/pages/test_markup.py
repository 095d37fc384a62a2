"""What comes from the data is escaped and cut to size, and figures say no more than they know."""

from __future__ import annotations

import math
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.pages import markup


@given(st.text(), st.integers(1, 60))
@example('"' * 100, 10)
@example("\ud800", 10)
@example("🐸" * 30, 10)
@example("&amp;" * 10, 12)
def test_text_is_escaped_and_never_longer_than_asked(text: str, limit: int) -> None:
    shown = markup.shown(text, limit)
    assert len(shown.encode()) <= limit + len("…".encode())
    assert not set(shown) & set("<>\"'")
    whole = unescape(shown)
    plain = text.encode(errors="replace").decode()
    assert whole == plain or (whole.endswith("…") and plain.startswith(whole[:-1]))


def test_a_cut_falls_between_characters_not_within_an_escape() -> None:
    assert markup.shown("a<b<c", 6) == "a&lt;b…"


def test_commands_in_sentences_are_code_and_nothing_else_is() -> None:
    shown = markup.prose("Run `holdfast up <b>`, not <b>.")
    assert shown == "Run <code>holdfast up &lt;b&gt;</code>, not &lt;b&gt;."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(0.12345, "0.123", id="plain"),
        pytest.param(math.nan, "–", id="nan"),
        pytest.param(math.inf, "∞", id="inf"),
        pytest.param(-math.inf, "-∞", id="minus-inf"),
        pytest.param(1.5e12, "1.5e+12", id="huge"),
    ],
)
def test_figures(value: float, shown: str) -> None:
    assert markup.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "< 0.0001"), (0.00009, "< 0.0001"), (0.0421, "0.0421"), (1.0, "1.0000")]
)
def test_nothing_is_said_to_be_impossible(value: float, shown: str) -> None:
    assert markup.probability(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0%"), (0.004, "0.4%"), (0.5, "50%"), (1.0, "100%"), (math.nan, "–")]
)
def test_shares(value: float, shown: str) -> None:
    assert markup.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.034, "0.03 s"), (12.34, "12.3 s"), (61.5, "1 min 1 s"), (3600, "60 min 0 s")]
)
def test_durations(value: float, shown: str) -> None:
    assert markup.seconds(value) == shown


def test_lists_are_cut_and_say_so() -> None:
    assert "and 2 more" in markup.bullets(["x"] * 5, most=3)
    assert markup.bullets([]) == ""
