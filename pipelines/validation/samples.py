"""A few of the rows that break each rule, by the line of their source."""

from __future__ import annotations

import duckdb

from pipelines.records import Record
from pipelines.validation.engine import BREACHES

_MOST = 5


class RowSample(Record):
    """One row that breaks a rule: its key, and where it came from."""

    row_id: str | None
    source_file: str | None
    source_line: int | None


def sample_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[int, tuple[RowSample, ...]]:
    """Return the first rows that break each rule, by the rule's position in its suite.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On which one partition was just examined.
    relation : str
        What was examined, with ``row_id``, ``source_file`` and ``source_line``.
    """
    found = connection.execute(
        "SELECT rule, row_id, source_file, source_line FROM "  # noqa: S608
        f"(SELECT * FROM {BREACHES} "
        f"QUALIFY row_number() OVER (PARTITION BY rule ORDER BY position) <= {_MOST}) "
        f"JOIN {relation} USING (partition_key, position) ORDER BY rule, position"
    ).fetchall()
    samples: dict[int, tuple[RowSample, ...]] = {}
    for rule, row_id, file, line in found:
        sample = RowSample(row_id=row_id, source_file=file, source_line=line)
        samples[int(rule)] = (*samples.get(int(rule), ()), sample)
    return samples
