"""The list of nights, as one HTML page without scripts; every name in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote, urlencode

from holdfast_airflow.views.reports import NIGHT_PAGE, Night

_STYLE = """
:root { color-scheme: light dark;
  --ink: #1d2433; --quiet: #5b6475; --paper: #fff; --line: #dde1e8; --link: #0b5cad }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --quiet: #9aa4b5; --paper: #14181f; --line: #2c3340; --link: #7cb7ff }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
p { color: var(--quiet) } a { color: var(--link) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line) }
td a + a { margin-left: 1rem }
"""


def nights_page(nights: Mapping[str, Sequence[Night]], *, page_size: int) -> str:
    """Return the page of all datasets' nights.

    Parameters
    ----------
    nights : mapping of str to sequence of Night
        The nights to show of each dataset, newest first.
    page_size : int
        A dataset with as many nights gets a link to older ones.
    """
    sections = "".join(_section(dataset, found, page_size) for dataset, found in nights.items())
    empty = "<p>No night has been monitored or validated yet: the first reports come with the first run.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Holdfast: reports</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Holdfast: reports</h1>{sections or empty}</body></html>"
    )


def _section(dataset: str, nights: Sequence[Night], page_size: int) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(night.night)}</th><td>{_links(night)}</td></tr>' for night in nights
    )
    older = ""
    if len(nights) == page_size:
        query = urlencode({"dataset": dataset, "before": nights[-1].night})
        older = f'<p><a href="?{escape(query)}">Older nights</a></p>'
    table = f"<table><tbody>{rows}</tbody></table>" if rows else "<p>No nights.</p>"
    return f"<h2>{escape(dataset)}</h2>{table}{older}"


def _links(night: Night) -> str:
    folder = f"reports/{quote(night.dataset)}/{quote(night.night)}"
    return "".join(
        f'<a href="{folder}/{escape(quote(name, safe=""))}">{escape(_title(name))}</a>'
        for name in night.files
    )


def _title(name: str) -> str:
    return "Summary" if name == NIGHT_PAGE else name.removesuffix(".html")
