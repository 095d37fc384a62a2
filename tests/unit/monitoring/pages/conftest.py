"""A history of verdicts without stores, and a reader of pages."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from watched_world import DATASET, NIGHTS, verdict_of

from pipelines.monitoring.pages.facts import DriftHistory

_VOID = {"meta", "link", "br", "path", "rect", "line", "circle"}


class PageReader(HTMLParser):
    """Collects text, links and tags of a page; every tag must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data


@pytest.fixture
def read() -> Callable[[str], PageReader]:
    """Return a reader of pages, which also checks what holds for each of them."""

    def reader(page: str) -> PageReader:
        found = PageReader(page)
        assert len(page.encode()) <= 300_000
        assert not {"script", "img", "object", "embed"} & found.tags
        return found

    return reader


@pytest.fixture
def make_history() -> Callable[..., DriftHistory]:
    """Return a maker of a month's history: calm, then drift that costs performance."""

    def make(**changes: Any) -> DriftHistory:
        records = {night: verdict_of(night, number) for number, night in enumerate(NIGHTS)}
        content = {"nights": tuple(NIGHTS), "records": records, "metric": "auc"}
        return DriftHistory(DATASET, "Will this trip be late?", **(content | changes))

    return make
