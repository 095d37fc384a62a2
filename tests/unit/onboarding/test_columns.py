"""Types, marks of missing values, and how numbers and dates are written."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipelines.onboarding.columns import understand_columns
from pipelines.onboarding.numbers import number_marks

DAYS = [date(2021, 1, 1) + timedelta(days=n) for n in range(60)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        pytest.param(["1", "2", "-3"] * 20, "integer", id="integers"),
        pytest.param(["1.5", "2", ".5", "3504.", "1e-3"] * 9, "float", id="floats"),
        pytest.param(["True", "false", "TRUE"] * 9, "boolean", id="booleans"),
        pytest.param(["00501", "10001", "02115"] * 9, "string", id="codes-with-zeros"),
        pytest.param(["12345678901234567", "12345678901234568"] * 9, "string", id="too-long-for-a-float"),
        pytest.param(["red", "blue"] * 9, "string", id="words"),
        pytest.param([f"{d:%Y-%m-%d}" for d in DAYS], "date", id="iso-dates"),
        pytest.param([f"{d:%Y%m%d}" for d in DAYS], "date", id="eight-digits"),
        pytest.param([f"{d:%Y-%m-%d}T07:00:00+02:00" for d in DAYS], "timestamp", id="iso-with-an-offset"),
        pytest.param([None, "", " "] * 9, None, id="nothing"),
    ],
)  # fmt: skip
def test_the_type_is_that_of_all_cells(make_sample, cells, kind):
    assert understand_columns(make_sample({"x": cells})).by_name["x"].kind == kind


@pytest.mark.parametrize(
    "form",
    [
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%d %b %Y",
        "%b %d, %Y",
        "%d-%b-%y",
        "%m/%d/%Y %I:%M %p",
        "%d/%m/%Y %H:%M",
    ],
)
def test_the_format_of_dates_is_found_by_all_of_them(make_sample, form):
    columns = understand_columns(make_sample({"x": [f"{d:{form}}" for d in DAYS]}))
    column = columns.by_name["x"]
    assert column.written is not None
    assert column.written.format == form
    assert column.profile.maximum is not None
    assert columns.doubts == []


def test_days_that_could_be_months_are_read_so_that_they_follow_each_other(make_sample):
    days = [date(2021, 1, 1) + timedelta(days=n) for n in range(12)]  # 01/01 to 12/01: both ways fit
    column = understand_columns(make_sample({"x": [f"{d:%d/%m/%Y}" for d in days]})).by_name["x"]
    assert column.written is not None
    assert column.written.format == "%d/%m/%Y"


def test_a_date_that_fits_both_ways_is_doubted(make_sample):
    columns = understand_columns(make_sample({"x": ["03/03/2021", "04/04/2021"] * 20}))
    assert any("fit every cell" in doubt for doubt in columns.doubts)


def test_times_of_day_with_dots_are_texts_that_are_known_as_times(make_sample):
    column = understand_columns(make_sample({"t": [f"{n % 24:02}.00.00" for n in range(60)]})).by_name["t"]
    assert (column.kind, column.written.kind, column.written.format) == ("string", "time", "%H.%M.%S")


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        pytest.param(["1,5", "2,25"], (",", None), id="decimal-comma"),
        pytest.param(["1.234,5", "2.000,25"], (",", "."), id="points-between-thousands"),
        pytest.param(["1,234.5", "2,000.25"], (".", ","), id="commas-between-thousands"),
        pytest.param(["1 234.5", "12 000.5"], (".", " "), id="spaces-between-thousands"),
        pytest.param(["1'234.5", "12'000"], (".", "'"), id="apostrophes"),
        pytest.param(["0,123", "0,456"], (",", None), id="a-leading-zero"),
        pytest.param(["1.234", "5.678"], (".", None), id="points"),
        pytest.param(["red, blue", "x"], (".", None), id="words-do-not-count"),
    ],
)
def test_the_marks_of_numbers_are_those_that_fit_all(cells, marks):
    decimal, thousands, doubts = number_marks([cells])
    assert (decimal, thousands) == marks
    assert doubts == []


def test_a_comma_before_three_digits_is_doubted():
    decimal, thousands, doubts = number_marks([["1,234", "5,678"]])
    assert (decimal, thousands, len(doubts)) == (".", ",", 1)


def test_numbers_with_decimal_commas_have_their_values(make_sample):
    columns = understand_columns(make_sample({"x": ["1,5", "-2,25", "1.000,5"]}))
    assert columns.by_name["x"].profile.minimum == -2.25
    assert columns.by_name["x"].profile.maximum == 1000.5


@pytest.mark.parametrize(
    ("cells", "missing", "kind"),
    [
        pytest.param(["1", "2", "?"] * 9, ["", "?"], "integer", id="question-marks"),
        pytest.param(["1", "2", "-"] * 9, ["", "-"], "integer", id="a-dash-among-numbers"),
        pytest.param(["red", "blue", "NA"] * 9, ["", "NA"], "string", id="NA-among-words"),
        pytest.param(["red", "blue", "None"] * 9, [""], "string", id="None-among-words-may-be-a-word"),
        pytest.param([*map(str, range(50)), *["off"] * 5], ["", "off"], "integer", id="one-odd-word"),
    ],
)  # fmt: skip
def test_marks_of_missing_values_are_found(make_sample, cells, missing, kind):
    columns = understand_columns(make_sample({"x": cells}))
    assert columns.missing == missing
    assert columns.by_name["x"].kind == kind


@pytest.mark.parametrize(
    ("value", "is_missing"),
    [
        pytest.param("-200", True, id="minus-200"),
        pytest.param("-999", True, id="minus-999"),
        pytest.param("99999", True, id="nines"),
        pytest.param("-473", False, id="a-number-that-nobody-chooses"),
        pytest.param("31", False, id="a-number-like-others"),
    ],
)
def test_numbers_that_stand_for_missing_stick_out(make_sample, value, is_missing):
    cells = [*(str(n % 30) for n in range(300)), *[value] * 20]
    columns = understand_columns(make_sample({"x": cells}))
    assert (value in columns.missing) is is_missing
    assert columns.by_name["x"].profile.n_null == (20 if is_missing else 0)
    assert any(value in doubt for doubt in columns.doubts) is (value != "31")


def test_a_few_cells_that_do_not_fit_are_counted(make_sample):
    cells = [*map(str, range(300)), "abc", "x y"]
    column = understand_columns(make_sample({"x": cells})).by_name["x"]
    assert (column.kind, column.n_misfits) == ("integer", 2)


def test_columns_of_a_typed_source_keep_their_types(make_sample):
    cells = {
        "n": [1, 2],
        "x": [0.5, 1.5],
        "b": [True, False],
        "d": DAYS[:2],
        "l": [[1], [2]],
        "t": ["1,5", "a"],
    }
    columns = understand_columns(make_sample(cells))
    assert [column.kind for column in columns.by_name.values()] == [
        "integer", "float", "boolean", "date", None, "string",
    ]  # fmt: skip
