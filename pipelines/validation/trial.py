"""Some partitions under examination: their rows with amendments, what they break, and what follows.

All rows stay in DuckDB; what comes out are counts, verdicts, and streams of the rows to publish and
of those in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import ConflictError, EngineError
from pipelines.records import IngestionRecord
from pipelines.storage.columns import ARROW_TYPES
from pipelines.storage.lake import Lake
from pipelines.storage.sql import identifier, literal
from pipelines.validation.amendments import (
    EXEMPT,
    PRESENT,
    Applied,
    apply_amendments,
    has_amended_rows,
    hold_back_twins,
)
from pipelines.validation.engine import BREACHES, Examination, Examiner, Finding
from pipelines.validation.holds import hold_back
from pipelines.validation.quarantine import (
    BAD,
    HELD_BACK,
    QUARANTINE,
    QUARANTINE_SCHEMA,
    build_quarantine,
    mark_bad,
    quarantine_query,
)
from pipelines.validation.raw import RAW, attach_raw, row_types
from pipelines.validation.rules import POSITION
from pipelines.validation.suite import Suite
from pipelines.validation.verdict import Verdict, exempted, judge, refuse_unseen

_EXAMINED = "holdfast_examined"
_BATCH_ROWS = 65_536


@dataclass
class Trial:
    """Partitions of one dataset on one connection.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Used by this trial alone; a stream that was handed out must be read before the next is asked for.
    ingestions : mapping of str to IngestionRecord
        The newest one of each partition.

    Attributes
    ----------
    conflicts, failures : dict of str to error
        Partitions that are not what was ingested, and those in which an expectation could not be
        evaluated: they are not judged.
    """

    connection: duckdb.DuckDBPyConnection
    lake: Lake
    dataset: str
    config: DatasetConfig
    suite: Suite
    ingestions: Mapping[str, IngestionRecord]
    conflicts: dict[str, ConflictError] = field(default_factory=dict)
    failures: dict[str, EngineError] = field(default_factory=dict)
    applied: dict[str, Applied] = field(default_factory=dict)
    examinations: dict[str, Examination] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    n_bad: dict[str, int] = field(default_factory=dict)

    def run(self, examiner: Examiner) -> None:
        """Examine and judge every partition that can be."""
        version = self.lake.version(self.dataset, "raw")
        self.conflicts = attach_raw(
            self.connection, self.lake, self.dataset, self.ingestions, self.config.columns, version=version
        )
        schema = self.lake.schema(self.dataset, "raw", version=version)
        for key, ingestion in self.ingestions.items():
            unseen = refuse_unseen(schema, ingestion.n_rows, self.config.columns)
            if unseen is not None and key not in self.conflicts:
                self.verdicts[key] = unseen
        sound = [key for key in self.ingestions if key not in {*self.conflicts, *self.verdicts}]
        if sound:
            self._examine(examiner, sound)
            self._judge()

    def quarantine(self, partition_key: str) -> pa.RecordBatchReader:
        """Return the quarantine of one partition, in canonical order."""
        if partition_key not in self.examinations:
            return pa.RecordBatchReader.from_batches(QUARANTINE_SCHEMA, [])
        return self._reader(quarantine_query(partition_key), QUARANTINE_SCHEMA)

    def published(self, partition_key: str) -> pa.RecordBatchReader:
        """Return the rows of one partition to publish: in canonical order, unless rows were amended."""
        schema = self.published_schema
        columns = ", ".join(map(identifier, schema.names))
        order = "ORDER BY row_id" if has_amended_rows(self.connection, partition_key) else ""
        query = (
            f"SELECT {columns} FROM {PRESENT} ANTI JOIN {BAD} USING (partition_key, position) "  # noqa: S608
            f"WHERE partition_key = {literal(partition_key)} {order}"
        )
        return self._reader(query, schema)

    def small_tables(self, partitions: Sequence[str]) -> dict[str, pa.Table]:
        """Return the rows to publish of partitions that memory holds, in one read."""
        schema = self.published_schema
        query = (
            f"SELECT partition_key, {', '.join(map(identifier, schema.names))} "  # noqa: S608
            f"FROM {PRESENT} ANTI JOIN {BAD} USING (partition_key, position) ORDER BY partition_key"
        )
        keyed = self._reader(query, schema.insert(0, pa.field("partition_key", pa.string()))).read_all()
        return _split(keyed, partitions)

    def small_quarantines(self, partitions: Sequence[str]) -> dict[str, pa.Table]:
        """Return the quarantines of partitions that memory holds, in one read."""
        if not self.examinations:
            return {key: QUARANTINE_SCHEMA.empty_table() for key in partitions}
        query = f"SELECT {', '.join(_KEYED_QUARANTINE.names)} FROM {QUARANTINE} ORDER BY partition_key"  # noqa: S608
        return _split(self._reader(query, _KEYED_QUARANTINE).read_all(), partitions)

    def row_ids(self, partition_key: str, positions: Sequence[int]) -> dict[int, str]:
        """Return the row keys at some positions."""
        wanted = ", ".join(str(int(position)) for position in positions) or "NULL"
        query = f"SELECT position, row_id FROM {PRESENT} WHERE partition_key = ? AND position IN ({wanted})"  # noqa: S608
        return {int(p): str(key) for p, key in self.connection.execute(query, [partition_key]).fetchall()}

    @property
    def published_schema(self) -> pa.Schema:
        """The columns of a published partition."""
        own = [("row_id", pa.string()), ("event_time", ARROW_TYPES["timestamp"])]
        return pa.schema([*own, *((name, ARROW_TYPES[kind]) for name, kind in self.config.columns.items())])

    def _examine(self, examiner: Examiner, partitions: Sequence[str]) -> None:
        self.applied = apply_amendments(
            self.connection, self.lake, self.dataset, self.config, list(self.ingestions)
        )
        columns = ["partition_key", "position", "row_id", "event_time", *self.config.columns]
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {_EXAMINED} AS "  # noqa: S608
            f"SELECT {', '.join(map(identifier, columns))} FROM {PRESENT}"
        )
        try:
            self.examinations = examiner.examine(self.connection, _EXAMINED, partitions)
        except EngineError as error:
            if len(partitions) == 1:
                self.failures[partitions[0]] = error
            else:
                self._examine_one_by_one(examiner, partitions)

    def _examine_one_by_one(self, examiner: Examiner, partitions: Sequence[str]) -> None:
        """Find out which partition it is in which an expectation can't be evaluated; keep the others."""
        kept = "holdfast_kept_breaches"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {kept} (partition_key VARCHAR, position BIGINT, rule INTEGER)"
        )
        for key in partitions:
            try:
                self.examinations |= examiner.examine(self.connection, _EXAMINED, [key])
            except EngineError as error:
                self.failures[key] = error
            else:
                self.connection.execute(f"INSERT INTO {kept} SELECT * FROM {BREACHES}")  # noqa: S608
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {BREACHES} AS SELECT * FROM {kept}")  # noqa: S608

    def _judge(self) -> None:
        if not self.examinations:
            return
        types = row_types(self.config.columns)
        mark_bad(self.connection, BREACHES, PRESENT, self.suite.rules, exempt=EXEMPT)
        if any(applied.n_held for applied in self.applied.values()):
            hold_back(self.connection, types)
        hold_back_twins(self.connection)
        build_quarantine(self.connection, raw=RAW, present=PRESENT, types=types, rules=self.suite.rules)
        self.n_bad = self._counted(f"SELECT partition_key, count(*) FROM {BAD} GROUP BY ALL")  # noqa: S608
        n_kept = self._counted(f"SELECT partition_key, count(*) FROM {QUARANTINE} GROUP BY ALL")  # noqa: S608
        held_back: dict[str, dict[str, int]] = {}
        query = f"SELECT partition_key, rule, count(*) FROM {HELD_BACK} GROUP BY ALL"  # noqa: S608
        for key, rule, n in self.connection.sql(query).fetchall():
            held_back.setdefault(str(key), {})[str(rule)] = int(n)
        for key, examination in self.examinations.items():
            if n_kept.get(key, 0) != self.n_bad.get(key, 0):
                raise EngineError(
                    f"{self.dataset} {key}: {self.n_bad.get(key, 0)} rows belong in quarantine and "
                    f"{n_kept.get(key, 0)} were found there; nothing was written."
                )
            n_rows = self.ingestions[key].n_rows
            self.verdicts[key] = judge(
                self._without_released(key, examination.findings, n_rows),
                n_rows=n_rows,
                n_bad=self.n_bad.get(key, 0),
                held_back=held_back.get(key, {}),
                max_quarantined_fraction=self.config.quality.max_quarantined_fraction,
            )

    def _without_released(self, key: str, findings: Sequence[Finding], n_rows: int) -> list[Finding]:
        """Return the findings as they are without the rows that people released from the rules."""
        if not self.applied[key].n_released:
            return list(findings)
        query = f"SELECT rule, count(*) FROM {BREACHES} SEMI JOIN {EXEMPT} USING (partition_key, position)"  # noqa: S608
        rows = self.connection.execute(f"{query} WHERE partition_key = ? GROUP BY ALL", [key]).fetchall()
        n_exempt = {int(rule): int(n) for rule, n in rows}
        considered = self._considered(key) if n_exempt else {}
        return [
            exempted(
                finding,
                n_exempt.get(finding.rule.position, 0),
                n_rows=n_rows,
                n_considered=considered.get(finding.rule.position, n_rows),
            )
            for finding in findings
        ]

    def _considered(self, key: str) -> dict[int, int]:
        """Return how many rows each row-level expectation looked at, as Great Expectations counts them."""
        found = self.examinations[key].result.results
        by_position = {entry.expectation_config.meta[POSITION]: entry.result for entry in found}
        return {
            position: int(result["element_count"]) - int(result.get("missing_count") or 0)
            for position, result in by_position.items()
            if "element_count" in result
        }

    def _counted(self, query: str) -> dict[str, int]:
        return {str(key): int(n) for key, n in self.connection.sql(query).fetchall()}

    def _reader(self, query: str, schema: pa.Schema) -> pa.RecordBatchReader:
        found = self.connection.sql(query).to_arrow_reader(_BATCH_ROWS)

        def batches() -> Iterator[pa.RecordBatch]:
            # Who stops half-way (the rows are out of order) must not leave the connection busy.
            with found:
                for batch in found:
                    yield from pa.Table.from_batches([batch]).cast(schema).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())


_KEYED_QUARANTINE = QUARANTINE_SCHEMA.insert(0, pa.field("partition_key", pa.string()))


def _split(keyed: pa.Table, partitions: Sequence[str]) -> dict[str, pa.Table]:
    """Cut rows that are ordered by partition into one table a partition, empty ones included."""
    rows = keyed.drop_columns(["partition_key"])
    tables = {key: rows.slice(0, 0) for key in partitions}
    start = 0
    for entry in keyed["partition_key"].value_counts().to_pylist():
        if entry["values"] in tables:
            tables[entry["values"]] = rows.slice(start, entry["counts"])
        start += entry["counts"]
    return tables
