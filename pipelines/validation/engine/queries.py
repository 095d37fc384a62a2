"""Expectations that are SQL of their own, or about another table: DuckDB runs them."""

from __future__ import annotations

from typing import Any

import duckdb
from great_expectations.constants import MAX_RESULT_RECORDS

from pipelines.errors import ConfigError
from pipelines.storage.sql import identifier, literal
from pipelines.validation.engine.checks import Check, Subject
from pipelines.validation.engine.columns import listed
from pipelines.validation.engine.scan import Scan
from pipelines.validation.rules import Rule

#: What a suite calls the other tables of the lake.
LAKE = "lake"
_MAX_COMPARED = 100_000


class QueryCheck(Check):
    """A check that runs queries on each partition by itself."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._found: dict[str, dict[str, Any]] = {}

    def read(self, scan: Scan) -> None:
        for key in scan.partitions:
            self._found[key] = self.ask_of(scan, key)

    def ask_of(self, scan: Scan, partition_key: str) -> dict[str, Any]:
        """Return the metrics of one partition."""
        raise NotImplementedError

    def metrics(self, partition_key: str) -> dict[str, Any]:
        return self._found[partition_key]


class UnexpectedRowsCheck(QueryCheck):
    """A query that returns the unexpected rows."""

    def ask_of(self, scan: Scan, partition_key: str) -> dict[str, Any]:
        query = _on_batch(self.expectation.unexpected_rows_query, scan, partition_key)
        n_rows = scan.number(f"SELECT count(*) FROM ({query})")
        rows = scan.table(f"SELECT * FROM ({query}) LIMIT {MAX_RESULT_RECORDS}").to_pylist()
        return {"unexpected_rows_query.table": rows, "unexpected_rows_query.row_count": n_rows}


class ComparisonCheck(QueryCheck):
    """A query on the partition that must return what another one returns."""

    def ask_of(self, scan: Scan, partition_key: str) -> dict[str, Any]:
        asked: Any = self.expectation
        if asked.comparison_data_source_name != LAKE:
            raise ConfigError(
                f"{self.rule.title}: unknown `comparison_data_source_name` "
                f"{asked.comparison_data_source_name!r}; the only one is `{LAKE}`, the tables of the dataset."
            )
        return {
            "base_query.table": _rows(_on_batch(asked.base_query, scan, partition_key), scan, self.rule),
            "comparison_query.data_source_table": _rows(asked.comparison_query, scan, self.rule),
        }


class OtherTableCheck(QueryCheck):
    """The number of rows, which must be that of another table."""

    def ask_of(self, scan: Scan, partition_key: str) -> dict[str, Any]:
        source = scan.source(self.domain.columns)
        counted = scan.counts(
            f"SELECT partition_key, count(*) FROM {source} WHERE {self.domain.condition} GROUP BY ALL"
        )
        other = identifier(self.expectation.other_table_name)
        return {
            "table.row_count.self": counted[partition_key],
            "table.row_count.other": _one(f"SELECT count(*) FROM {other}", scan, self.rule),
        }


def _on_batch(query: str, scan: Scan, partition_key: str) -> str:
    """Return a query with the rows of one partition in place of ``{batch}``, and braces as written."""
    rows = f"(SELECT {listed(scan.columns)} FROM {scan.view} WHERE partition_key = {literal(partition_key)})"
    text = query.rstrip("; \t\r\n\v\f")
    return (
        text.replace("{{", "\0")
        .replace("}}", "\1")
        .replace("{batch}", rows)
        .replace("\0", "{")
        .replace("\1", "}")
    )


def _rows(query: str, scan: Scan, rule: Rule) -> list[dict[str, Any]]:
    text = query.rstrip("; \t\r\n\v\f")
    n_rows = _one(f"SELECT count(*) FROM ({text})", scan, rule)
    if n_rows > _MAX_COMPARED:
        raise ConfigError(
            f"{rule.title}: a query returns {n_rows} rows, and at most {_MAX_COMPARED} are compared; "
            "aggregate in the query."
        )
    rows: list[dict[str, Any]] = scan.table(text).to_pylist()
    return rows


def _one(query: str, scan: Scan, rule: Rule) -> int:
    try:
        return scan.number(query)
    except duckdb.CatalogException as error:
        raise ConfigError(
            f"{rule.title} names a table that is not there: {str(error).splitlines()[0][:300]} "
            "Other tables are known by their names in the lake, such as `validated`."
        ) from error
