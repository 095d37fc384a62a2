"""Addresses lead from any page to any other, whatever a column is called."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.pages.places import Places, column_id

HERE = {
    0: "http://host/mounted/holdfast/",
    1: "http://host/mounted/holdfast/drift/flights",
    2: "http://host/mounted/holdfast/night/flights/2013-07-10",
    3: "http://host/mounted/holdfast/drift/flights/2013-07-10/temp",
}


@pytest.mark.parametrize("depth", HERE)
def test_from_every_depth_the_same_page_is_reached(depth: int) -> None:
    places = Places(depth)
    found = [
        places.health,
        places.drift("flights", last="2013-06-01", first_column=30),
        places.column("flights", "2013-07-10", "temp"),
        places.night("flights", "2013-07-10"),
        places.nights("flights", before="2013-06-01"),
        places.show("flights", "2013-07-10", "drift.html"),
        places.report("flights", "2013-07-10", "drift.json"),
    ]
    assert [urljoin(HERE[depth], address).removeprefix(HERE[0]) for address in found] == [
        "",
        "drift/flights?last=2013-06-01&from=30",
        "drift/flights/2013-07-10/temp",
        "night/flights/2013-07-10",
        "nights/flights?before=2013-06-01",
        "show/flights/2013-07-10/drift.html",
        "reports/flights/2013-07-10/drift.json",
    ]


@given(st.text(max_size=200))
@example("..")
@example(".")
@example("")
@example("a/b")
@example("x" * 10_000)
@example("\ud800")
@example("~0123456789abcdef")
def test_a_column_is_one_plain_step_of_an_address(name: str) -> None:
    assert re.fullmatch(r"~[0-9a-f]{16}|[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", column_id(name))


def test_names_that_look_alike_have_addresses_of_their_own() -> None:
    names = ["a b", "a.b", "a/b", "ab", "ａb", "a\u200bb"]
    assert len({column_id(name) for name in names}) == len(names)
