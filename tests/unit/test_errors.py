"""Messages are bounded, and nothing in them can steer a terminal or forge a line of a log."""

from __future__ import annotations

import pytest

from pipelines.errors import HoldfastError, SchemaError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("vélos 北京 🚲.csv", "vélos 北京 🚲.csv", id="any-script"),
        pytest.param("a\u3000b\u00a0c", "a\u3000b\u00a0c", id="wide-spaces"),
        pytest.param("a\x1b[2J", r"a\x1b[2J", id="terminal"),
        pytest.param("a\nERROR b", r"a\nERROR b", id="line-end"),
        pytest.param("a\u2028b\x85c", r"a\u2028b\x85c", id="other-line-ends"),
        pytest.param("\u202evsc.exe", r"\u202evsc.exe", id="right-to-left"),
        pytest.param("a\udcff", r"a\udcff", id="no-text"),
        pytest.param("a\0", r"a\x00", id="nul"),
    ],
)
def test_what_steers_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_an_error_keeps_its_lines_and_nothing_else_that_steers() -> None:
    assert str(SchemaError("first\n\tsecond \x1b[31m")) == "first\n\tsecond \\x1b[31m"


def test_an_error_is_never_long() -> None:
    for text in ("x" * 10**6, "\x1b" * 10**6):
        message = str(HoldfastError(text))
        assert len(message) == 2_000
        assert message.endswith("…")
