"""Data Docs of one validated night: Great Expectations' own page and result, fit to be kept and shown.

The page is built by Great Expectations' renderers, put below a verdict in words, and made
self-sufficient: no script, no address outside the page, one inline style. Values are shown as the
text that they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

from pipelines.records import ExpectationOutcome, ValidationRecord
from pipelines.storage.whole_files import write_atomically
from pipelines.validation.views import escaped, rendered

PAGE = "validation.html"
RESULT = "validation.json"

# Neither file is larger, whatever the data holds: many nights are kept, and a browser must show them.
_MAX_BYTES = 300_000
# How many samples are shown, and how much of each: the first that fits.
_CUTS = ((20, 200), (20, 60), (5, 60), (0, 60))
_MAX_LISTED = 200
_SAMPLED_ROWS = "partial_unexpected_index_list"
_ENGINES = {"duckdb": "DuckDB", "great_expectations": "Great Expectations"}

# Nothing may load or run: a second wall behind the inert markup.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; color: #1f2933 }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { border: 1px solid #d5dbe1; padding: .3rem .6rem; text-align: left; vertical-align: top }
.show-scrollbars { overflow-x: auto }
.badge { background: #e6eaee; border-radius: .25rem; padding: 0 .3rem; font-family: monospace }
.text-danger, .refused { color: #b42318 }
.text-success, .passed { color: #027a48 }
.text-warning, .warned { color: #b54708 }
.fa-check-circle::before { content: "\\2714" } .fa-times::before { content: "\\2718" }
.fa-exclamation-triangle::before { content: "\\26a0" }
.alert { border-bottom: 2px solid #d5dbe1; margin-top: 1.5rem }
h5 { font-size: 1.1rem; margin: 0 } h6 { margin: .5rem 0 0 }
"""


def write_docs(
    folder: Path,
    record: ValidationRecord,
    result: Mapping[str, Any] | None,
    *,
    ran_by: Sequence[str] = (),
) -> None:
    """Write the page of one validated partition, and Great Expectations' result as JSON.

    Both are bounded, whatever the data and the suite hold: samples go first, then the sections.

    Parameters
    ----------
    folder : Path
        Gets ``validation.html`` and ``validation.json``, each replaced as a whole.
    record : ValidationRecord
        The verdict, which heads the page.
    result : mapping or None
        As :func:`portable_result` gives it; None where no expectation could be held to the
        partition.
    ran_by : sequence of str
        The engine that ran each of the record's expectations.
    """
    texts = (json.dumps(cut, indent=1, ensure_ascii=False) for cut in _ever_shorter(result))
    write_atomically(folder / RESULT, next(text for text in texts if _fits(text)))
    pages = (_page(record, cut, ran_by) for cut in _ever_shorter(result))
    write_atomically(folder / PAGE, next(page for page in pages if _fits(page)))


def remove_docs(folder: Path) -> None:
    """Remove the page of an earlier verdict that no longer holds."""
    for name in (PAGE, RESULT):
        (folder / name).unlink(missing_ok=True)


def sampled_positions(result: ExpectationSuiteValidationResult) -> list[int]:
    """Return the positions of the rows that a result shows as samples."""
    return sorted(
        {
            int(row)
            for entry in result.results
            for row in entry.result.get(_SAMPLED_ROWS) or ()
            if row is not None
        }
    )


def portable_result(
    result: ExpectationSuiteValidationResult,
    *,
    row_ids: Mapping[int, str],
    partition_key: str,
    validated_at: datetime,
) -> dict[str, Any]:
    """Return Great Expectations' result as plain JSON.

    The full lists of unexpected rows are left out (the quarantine has them); of the samples, each
    row is named by its key.

    Parameters
    ----------
    row_ids : mapping of int to str
        Of the positions that :func:`sampled_positions` gives.
    """
    result.meta["run_id"] = RunIdentifier(run_name=partition_key, run_time=validated_at)
    result.meta["validation_time"] = validated_at
    content: dict[str, Any] = result.to_json_dict()
    for entry in content["results"]:
        found = entry["result"]
        found.pop("unexpected_list", None)
        found.pop("unexpected_index_list", None)
        if found.get(_SAMPLED_ROWS):
            found[_SAMPLED_ROWS] = [row_ids.get(int(row), str(row)) for row in found[_SAMPLED_ROWS]]
    return content


def _ever_shorter(result: Mapping[str, Any] | None) -> Iterator[dict[str, Any] | None]:
    """Yield the result with fewer and shorter samples each time, at last none of it."""
    if result is not None:
        for n_items, n_chars in _CUTS:
            entries = [
                {**entry, "result": _cut(entry["result"], n_items, n_chars)} for entry in result["results"]
            ]
            yield {**result, "results": entries}
        bare = [
            {**entry, "result": {}, "expectation_config": _cut(entry["expectation_config"], 5, 100)}
            for entry in result["results"]
        ]
        yield {**result, "results": bare}
    yield None


def _cut(value: Any, n_items: int, n_chars: int) -> Any:
    if isinstance(value, str) and len(value) > n_chars:
        return value[:n_chars] + "…"
    if isinstance(value, list):
        return [_cut(inner, n_items, n_chars) for inner in value[:n_items]]
    if isinstance(value, dict):
        return {key: _cut(inner, n_items, n_chars) for key, inner in value.items()}
    return value


def _fits(text: str) -> bool:
    return len(text.encode(errors="replace")) <= _MAX_BYTES


def _page(record: ValidationRecord, result: Mapping[str, Any] | None, ran_by: Sequence[str]) -> str:
    title = escape(f"{record.dataset} {record.partition_key}: {record.outcome}")
    reasons = "".join(f"<li>{escape(_cut(reason, 1, 500))}</li>" for reason in record.reasons[:_MAX_LISTED])
    amended = (
        f"<p>{record.n_amended} rows repaired by people, {record.n_released} released from the rules.</p>\n"
        if record.amendments_digest
        else ""
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<style>{STYLE}</style></head><body>\n"
        f'<h1 class="{record.outcome}">{title}</h1>\n'
        f"<p>{record.n_in} rows in, {record.n_published} published, "
        f"{record.n_quarantined} in quarantine.</p>\n{amended}"
        f"<ul>{reasons}</ul>\n{_summary(record, ran_by)}\n"
        f"{'' if result is None else _sections(result)}\n</body></html>\n"
    )


def _summary(record: ValidationRecord, ran_by: Sequence[str]) -> str:
    """Return the table of all expectations: what was seen, and which engine read the data for it."""
    if not ran_by:
        return ""
    lines = [
        f"<tr><td>{escape(_cut(found.name, 1, 120))}</td><td>{escape(_cut(found.column or '', 1, 120))}</td>"
        f"<td>{found.severity}</td><td>{_state(found)}</td><td>{escape(_cut(found.observed, 1, 120))}</td>"
        f"<td>{_ENGINES.get(engine, escape(engine))}</td></tr>"
        for found, engine in list(zip(record.expectations, ran_by, strict=True))[:_MAX_LISTED]
    ]
    head = "".join(
        f"<th>{name}</th>" for name in ("expectation", "column", "severity", "state", "seen", "run by")
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _state(found: ExpectationOutcome) -> str:
    if not found.is_evaluated:
        return "not evaluated"
    return "met" if found.is_met else "not met"


def _sections(result: Mapping[str, Any]) -> str:
    # Rebuilt from JSON: the renderers can't format numpy's numbers.
    plain = expectationSuiteValidationResultSchema.load(_escaped_samples(result))
    return rendered(ValidationResultsPageRenderer(run_info_at_end=True).render(plain))


def _escaped_samples(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which the values that the renderer prints raw are escaped."""
    content: dict[str, Any] = json.loads(json.dumps(result))
    for entry in content["results"]:
        found = entry["result"]
        for name in ("partial_unexpected_list", "partial_unexpected_counts"):
            if name in found:
                found[name] = escaped(found[name])
    return content
