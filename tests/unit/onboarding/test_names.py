"""Clean names: no two alike, none reserved, none that does harm, whatever the source calls its columns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import RESERVED_COLUMNS
from pipelines.onboarding.names import clean_names, dataset_name


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        pytest.param("temp", "temp", id="plain"),
        pytest.param("VendorID", "VendorID", id="plain-with-capitals"),
        pytest.param("CO(GT)", "co_gt", id="brackets"),
        pytest.param("Température (°C)", "temperature_c", id="accents"),
        pytest.param("1st", "x1st", id="a-digit-first"),
        pytest.param("row_id", "source_row_id", id="reserved"),
        pytest.param("holdfast_line", "source_holdfast_line", id="ours"),
        pytest.param("probability_0", "source_probability_0", id="a-prediction"),
        pytest.param("', DROP TABLE x; --", "drop_table_x", id="hostile"),
        pytest.param("../../etc/passwd", "etc_passwd", id="a-path"),
        pytest.param("日本", "column", id="no-letter-of-ours"),
        pytest.param("", "column", id="empty"),
    ],
)
def test_a_name_becomes_a_plain_identifier(name, clean):
    assert clean_names([name]) == {name: clean}


def test_names_that_become_alike_are_numbered_and_plain_ones_come_first():
    assert clean_names(["CO(GT)", "co_gt", "co gt"]) == {
        "CO(GT)": "co_gt_2",
        "co_gt": "co_gt",
        "co gt": "co_gt_3",
    }
    assert clean_names(["Temp", "temp"]) == {"Temp": "Temp", "temp": "temp_2"}


@given(st.lists(st.text(max_size=80), unique=True, max_size=40))
def test_clean_names_are_harmless_and_differ_whatever_their_case(names):
    found = clean_names(names)
    assert list(found) == names
    assert len({clean.lower() for clean in found.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,70}", clean) for clean in found.values())
    assert not RESERVED_COLUMNS & {clean.lower() for clean in found.values()}


def test_a_dataset_can_be_named_after_any_file():
    assert dataset_name("Air Quality (UCI)") == "air_quality_uci"
