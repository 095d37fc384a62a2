"""How a text file is written, guessed from its bytes: random dialects, and well-known uglinesses."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ugly_tables import MAKERS

from pipelines.errors import SchemaError
from pipelines.ingestion.sniffing import sniff

WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyzäéß", min_size=2, max_size=8)
TEXTS = st.one_of(
    WORDS,
    st.tuples(WORDS, st.sampled_from([",", ";", "\n", '"', " "]), WORDS).map("".join),
)


@st.composite
def tables(draw):
    """Return columns of numbers, dates and words, the words with whatever needs quoting."""
    n_rows = draw(st.integers(12, 30))
    numbers = st.lists(st.integers(-9_999, 9_999).map(str), min_size=n_rows, max_size=n_rows)
    dates = st.lists(st.dates().map(str), min_size=n_rows, max_size=n_rows)
    words = st.lists(WORDS, min_size=n_rows, max_size=n_rows)
    texts = st.lists(WORDS, min_size=n_rows - 2, max_size=n_rows - 2).flatmap(
        lambda plain: st.tuples(TEXTS, TEXTS).map(lambda odd: [odd[0], *plain, odd[1]])
    )
    columns = [draw(numbers), draw(dates), draw(numbers), draw(words), draw(texts)]
    return [list(row) for row in zip(*columns, strict=True)]


@settings(max_examples=60, deadline=None)
@given(
    rows=tables(),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
    has_header=st.booleans(),
    preamble=st.sampled_from([[], ["Export of the day"], ["A title", ""]]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_random_table_in_a_random_dialect_is_sniffed_back(
    rows, delimiter, encoding, has_header, preamble, end
):
    text = io.StringIO()
    for line in preamble:
        text.write(line + end)
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    header = ["number", "when", "amount", "word", "note"]
    writer.writerows([header, *rows] if has_header else rows)
    data = text.getvalue().encode(encoding)
    found = sniff(data, is_whole=True)
    assert found.csv.delimiter == delimiter
    assert found.csv.header is has_header
    assert found.csv.skip_lines == len(preamble)
    assert len(found.names) == len(header)
    if has_header:
        assert found.names == tuple(header)
    assert data.decode(found.csv.encoding).removeprefix("\ufeff") == text.getvalue()


@pytest.mark.parametrize(
    ("table", "settings_of_csv"),
    [
        pytest.param("no_header", {"header": False}, id="no-header"),
        pytest.param("semicolons_and_decimal_commas", {"delimiter": ";"}, id="semicolons"),
        pytest.param("question_marks", {"header": False, "trim": True}, id="a-space-after-each-comma"),
        pytest.param("latin_1", {"encoding": "iso8859-1"}, id="latin-1"),
        pytest.param("no_time", {"delimiter": ";"}, id="quoted-header"),
        pytest.param("row_names", {"row_names": True}, id="row-names"),
        pytest.param("runs_of_spaces", {"delimiter": "whitespace", "header": False}, id="runs-of-spaces"),
        pytest.param(
            "preamble_and_newlines",
            {"delimiter": ";", "encoding": "utf-16", "skip_lines": 3},
            id="preamble-newlines-utf-16",
        ),
    ],
)
def test_well_known_ways_to_write_badly_are_recognised(tmp_path, table, settings_of_csv):
    location = MAKERS[table](tmp_path).location
    found = sniff((tmp_path / location).read_bytes(), is_whole=True)
    assert found.csv.model_dump(exclude_defaults=True) == settings_of_csv


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        pytest.param(
            "a;b;a\n1;2;3\n4;5;6\n", ("a", "b", "a_2"), {"names": ("a", "b", "a_2")}, id="one-name-twice"
        ),
        pytest.param(
            "a,b\n1,2,\n3,4,\n", ("a", "b", "column2"), {"names": ("a", "b", "column2")}, id="short-header"
        ),
        pytest.param("'a','b,c'\n'1','x'\n'2','y'\n", ("a", "b,c"), {"quote": "'"}, id="single-quotes"),
        pytest.param('a,b\n"x \\" y",1\n"z",2\n', ("a", "b"), {"escape": "\\"}, id="backslash-escapes"),
        pytest.param("word,thing\nred,apple\nblue,plum\n", ("word", "thing"), {}, id="all-words"),
        pytest.param(
            "red,apple\nblue,plum\nred,apple\n",
            ("column0", "column1"),
            {"header": False},
            id="words-without-names",
        ),
        pytest.param("a,b\n", ("a", "b"), {}, id="a-header-alone"),
        pytest.param(
            "?,1\nx,2\ny,3\n", ("column0", "column1"), {"header": False}, id="first-row-lacks-a-value"
        ),
        pytest.param("a\n1\n2\n", ("a",), {}, id="one-column"),
    ],
)
def test_names_and_marks_are_found(text, names, expected):
    found = sniff(text.encode(), is_whole=True)
    assert found.names == names
    given_back = found.csv.model_dump(exclude_defaults=True)
    for key, value in expected.items():
        assert given_back[key] == value
    assert found.csv.header is ("header" not in expected and "names" not in expected)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        pytest.param("a,b\n1,\u20ac\n".encode("cp1252"), "cp1252", id="a-euro-sign"),
        pytest.param("a,b\n1,2\n".encode("utf-16-le"), "utf-16-le", id="utf-16-without-its-mark"),
        pytest.param("a,b\n1,2\n".encode("utf-16-be"), "utf-16-be", id="utf-16-the-other-way-round"),
        pytest.param(
            ("имя,город\n" + "Анна,Москва\nИван,Тверь\n" * 30).encode("cp1251"), "cp1251", id="cyrillic"
        ),
    ],
)
def test_an_encoding_that_is_a_guess_is_doubted(data, encoding):
    found = sniff(data, is_whole=True)
    assert found.csv.encoding == encoding
    assert found.doubts


def test_a_character_that_is_cut_in_two_does_not_change_the_encoding():
    data = ("a,b\n" + "1,é\n" * 50).encode()
    assert sniff(data[:-2]).csv.encoding == "utf-8"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n \n", id="blank"),
        pytest.param(b"MZ\x00\x01,\x00\xff", id="binary"),
    ],
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(SchemaError, match=r"the file holds"):
        sniff(data, is_whole=True)
