"""The addresses of all pages, relative to the page that they are on: Airflow may be mounted anywhere."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}\Z")


def column_id(name: str) -> str:
    """Return what stands for a column in an address: its name, or a digest of one that is no plain word.

    Browsers and proxies rewrite addresses with slashes, dots or much else in them, and names have no
    limit to their length.

    Examples
    --------
    >>> column_id("wind_speed")
    'wind_speed'
    >>> column_id("a/../b")
    '~bd10a48bbf9c1ab3'
    """
    if _PLAIN_NAME.match(name):
        return name
    return "~" + hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Places:
    """Where pages are, as seen from one that is ``depth`` folders below the first."""

    depth: int = 0

    @property
    def health(self) -> str:
        """The first page."""
        return "../" * self.depth or "./"

    def drift(self, dataset: str, *, last: str | None = None, first_column: int = 0) -> str:
        """The heat map of a dataset, up to the night ``last``, from its n-th column on."""
        asked = {"last": last, "from": first_column or None}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self._below("drift", dataset) + (f"?{query}" if query else "")

    def column(self, dataset: str, night: str, column: str) -> str:
        """What is known of one column on one night."""
        return self._below("drift", dataset, night, column_id(column))

    def night(self, dataset: str, night: str) -> str:
        """All that is known of one night."""
        return self._below("night", dataset, night)

    def nights(self, dataset: str, *, before: str | None = None) -> str:
        """The list of a dataset's nights, those before one night."""
        return self._below("nights", dataset) + (f"?{urlencode({'before': before})}" if before else "")

    def show(self, dataset: str, night: str, name: str) -> str:
        """A page that a library drew, in a frame."""
        return self._below("show", dataset, night, name)

    def report(self, dataset: str, night: str, name: str) -> str:
        """A file of a night, as it is."""
        return self._below("reports", dataset, night, name)

    def models(self, dataset: str, *, at: str | None = None) -> str:
        """The versions of a dataset's model and its champions; ``at`` asks for the one of a moment."""
        return self._below("models", dataset) + (f"?{urlencode({'at': at})}" if at else "")

    def model(self, dataset: str, model_version: str) -> str:
        """The card of one model version."""
        return self._below("models", dataset, model_version)

    def row(self, dataset: str, row_id: str | None = None) -> str:
        """The passport of one row; without an id, where one is asked for."""
        return self._below("rows", dataset) + (f"?{urlencode({'row': row_id})}" if row_id else "")

    def _below(self, *parts: str) -> str:
        return "../" * self.depth + "/".join(quote(part, safe="") for part in parts)
