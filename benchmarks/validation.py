"""25 expectations on one partition: ours, Great Expectations on pandas, pandera, and SQL written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.storage.engine import connect

KEY = "2013-07-04"
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
ORIGINS = ["EWR", "JFK", "LGA"]
START, END = datetime(2013, 7, 4, tzinfo=UTC), datetime(2013, 7, 5, tzinfo=UTC)

# About one row in a thousand breaks something; keys repeat in one of 50,000. ``r`` are random numbers.
_ROWS = """
WITH drawn AS (
  SELECT i, [(hash(i + k * 1000000007) // 2)::BIGINT FOR k IN range(13)] AS r FROM range({n}) AS t(i))
SELECT '2013-07-04|' || CASE WHEN i % 50000 = 1 THEN i - 1 ELSE i END AS row_id,
  TIMESTAMPTZ '2013-07-04 00:00:00+00:00' + to_microseconds((i * 7919) % 86400000000) AS event_time,
  CASE WHEN i % 4001 = 0 THEN '??' ELSE {carriers}[1 + r[1] % 16] END AS carrier,
  {origins}[1 + r[2] % 3] AS origin,
  CASE WHEN i % 3001 = 0 THEN 'x1'
       ELSE chr((65 + r[3] % 26)::INT) || chr((65 + r[4] % 4)::INT) || 'A' END AS dest,
  CASE WHEN r[5] % 100 > 1 THEN 'N' || (100 + r[6] % 4000) || 'UA' END AS tailnum,
  CASE WHEN i % 2003 = 0 THEN -1 ELSE 1 + r[7] % 8000 END::BIGINT AS flight,
  (50 + r[8] % 4900)::DOUBLE AS distance,
  CASE WHEN r[9] % 100 > 2 THEN ((r[10] % 30000) / 100.0 - 60)::DOUBLE END AS dep_delay,
  (50 + r[11] % 350)::BIGINT AS seats,
  CASE WHEN i % 5003 = 0 THEN 900 ELSE 2 + r[12] % 12 END::BIGINT AS crew,
  (r[13] % 40 = 0) AS is_cancelled,
  i::BIGINT AS position
FROM drawn
"""
EXPECTATIONS: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {"column": "row_id"}),
    ("expect_column_values_to_be_unique", {"column": "row_id"}),
    ("expect_column_values_to_not_be_null", {"column": "event_time"}),
    (
        "expect_column_values_to_be_between",
        {"column": "event_time", "min_value": START, "max_value": END, "strict_max": True},
    ),
    ("expect_column_values_to_not_be_null", {"column": "carrier"}),
    ("expect_column_values_to_be_in_set", {"column": "carrier", "value_set": CARRIERS, "mostly": 0.99}),
    ("expect_column_values_to_be_in_set", {"column": "origin", "value_set": ORIGINS}),
    ("expect_column_value_lengths_to_equal", {"column": "origin", "value": 3}),
    ("expect_column_values_to_match_regex", {"column": "dest", "regex": "^[A-Z]{3}$", "mostly": 0.99}),
    ("expect_column_values_to_not_be_in_set", {"column": "dest", "value_set": ["ZZZ"]}),
    ("expect_column_values_to_match_regex", {"column": "tailnum", "regex": "^N[0-9]{1,5}[A-Z]{0,2}$"}),
    ("expect_column_values_to_not_be_null", {"column": "tailnum", "mostly": 0.9}),
    (
        "expect_column_values_to_be_between",
        {"column": "flight", "min_value": 1, "max_value": 9999, "mostly": 0.99},
    ),
    ("expect_column_values_to_be_between", {"column": "distance", "min_value": 0, "max_value": 6000}),
    ("expect_column_mean_to_be_between", {"column": "distance", "min_value": 1000, "max_value": 4000}),
    ("expect_column_values_to_be_between", {"column": "dep_delay", "min_value": -120, "max_value": 2000}),
    ("expect_column_values_to_not_be_null", {"column": "dep_delay", "mostly": 0.9}),
    ("expect_column_min_to_be_between", {"column": "dep_delay", "min_value": -120, "max_value": 0}),
    ("expect_column_stdev_to_be_between", {"column": "dep_delay", "min_value": 1, "max_value": 500}),
    ("expect_column_values_to_be_between", {"column": "seats", "min_value": 1, "max_value": 600}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "seats", "column_B": "crew", "ignore_row_if": "either_value_is_missing", "mostly": 0.99},
    ),
    ("expect_column_values_to_not_be_null", {"column": "is_cancelled"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["carrier", "flight", "event_time"]}),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "carrier", "min_value": 2, "max_value": 20},
    ),
    ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 100_000_000}),
]
# The counts that the expectations rest on, by one who knows them; no rows are named.
_BY_HAND = """
SELECT count(*), count(row_id), count(event_time),
  count(*) FILTER (event_time < TIMESTAMPTZ '2013-07-04 00:00:00+00:00'
                   OR event_time >= TIMESTAMPTZ '2013-07-05 00:00:00+00:00'),
  count(carrier), count(*) FILTER (carrier NOT IN {carriers}), count(*) FILTER (origin NOT IN {origins}),
  count(*) FILTER (length(origin) <> 3), count(*) FILTER (NOT regexp_matches(dest, '^[A-Z]{{3}}$')),
  count(*) FILTER (dest IN ('ZZZ')),
  count(*) FILTER (NOT regexp_matches(tailnum, '^N[0-9]{{1,5}}[A-Z]{{0,2}}$')),
  count(tailnum), count(*) FILTER (flight NOT BETWEEN 1 AND 9999),
  count(*) FILTER (distance NOT BETWEEN 0 AND 6000), avg(distance),
  count(*) FILTER (dep_delay NOT BETWEEN -120 AND 2000), count(dep_delay), min(dep_delay),
  stddev_samp(dep_delay), count(*) FILTER (seats NOT BETWEEN 1 AND 600),
  count(*) FILTER (NOT seats > crew), count(is_cancelled), count(DISTINCT carrier),
  (SELECT coalesce(sum(n), 0) FROM
    (SELECT count(*) AS n FROM '{path}' GROUP BY row_id HAVING count(*) > 1)),
  (SELECT coalesce(sum(n), 0) FROM
    (SELECT count(*) AS n FROM '{path}' GROUP BY carrier, flight, event_time HAVING count(*) > 1))
FROM '{path}'
"""


def one_million() -> None:
    """Print the table of one million rows."""
    _compare(1_000_000)


def ten_million() -> None:
    """Print the table of ten million rows; takes some minutes, and 7 GB for the peers."""
    _compare(10_000_000)


def _compare(n_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        _run("write", path, str(n_rows))
        print(f"{n_rows:,} rows x 12 columns x {len(EXPECTATIONS)} expectations, one thread, a process each")
        heads = f"{'wall':>9}{'CPU':>9}{'peak':>10}{'before it':>12}{'wall':>10}{'CPU, ours = 1':>14}"
        print(f"  {'':30}{heads}")
        spent = {name: _in_child(name, path) for name in PEERS}
    ours = spent["ours"]
    for name, found in spent.items():
        print(
            f"  {name:30}{found['wall_seconds']:7.1f} s{found['cpu_seconds']:7.1f} s"
            f"{found['peak_bytes'] / 1e6:7,.0f} MB{found['import_bytes'] / 1e6:9,.0f} MB"
            f"{found['wall_seconds'] / ours['wall_seconds']:10.2f}"
            f"{found['cpu_seconds'] / ours['cpu_seconds']:8.2f}"
        )
    is_same = ours["found"] == spent["Great Expectations on pandas"]["found"]
    said = "the same as" if is_same else "NOT the same as"
    print(f"  {sum(ours['found']):,} breaches, of each expectation {said} Great Expectations on pandas")


def _write(path: Path, n_rows: int) -> None:
    rows = _ROWS.format(n=n_rows, carriers=CARRIERS, origins=ORIGINS)
    with connect(scratch=path.parent) as connection:
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def _in_child(name: str, path: Path) -> dict[str, Any]:
    measured: dict[str, Any] = json.loads(_run(name, path).splitlines()[-1])
    return measured


def _run(*arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.validation", *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.stdout


def _ours(path: Path) -> Callable[[], list[int]]:
    from pipelines.validation.engine import Examiner
    from pipelines.validation.suite import Suite

    suite = Suite("benchmark", tuple(_rules()), "")

    def run() -> list[int]:
        with connect(scratch=path.parent) as connection:
            lake = f"SELECT '{KEY}' AS partition_key, * FROM read_parquet('{path}')"  # noqa: S608
            connection.execute(f"CREATE TEMP VIEW rows AS {lake}")
            examined = Examiner(suite).examine(connection, "rows", [KEY])[KEY]
            examined.result.to_json_dict()
            return [finding.n_unexpected for finding in examined.findings]

    return run


def _great_expectations(path: Path) -> Callable[[], list[int]]:
    from pipelines.validation.engine.columns import typed_frame
    from pipelines.validation.engine.gx import GreatExpectations

    rules = _rules()

    def run() -> list[int]:
        import pyarrow.parquet as pq

        frame = typed_frame(pq.read_table(path))
        found = GreatExpectations("benchmark").run(frame, rules)
        return [len(found[rule.position].result.get("unexpected_index_list") or ()) for rule in rules]

    return run


def _pandera(path: Path) -> Callable[[], list[int]]:
    import pandas as pd
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    between, within = pa.Check.in_range, pa.Check.isin
    schema = pa.DataFrameSchema(
        {
            "row_id": pa.Column(unique=True),
            "event_time": pa.Column(checks=between(START, END, include_max=False)),
            "carrier": pa.Column(checks=[within(CARRIERS), pa.Check(lambda s: 2 <= s.nunique() <= 20)]),
            "origin": pa.Column(checks=[within(ORIGINS), pa.Check.str_length(3, 3)]),
            "dest": pa.Column(checks=[pa.Check.str_matches("^[A-Z]{3}$"), pa.Check.notin(["ZZZ"])]),
            "tailnum": pa.Column(
                nullable=True,
                checks=[
                    pa.Check.str_matches("^N[0-9]{1,5}[A-Z]{0,2}$"),
                    pa.Check(lambda s: s.notna().mean() >= 0.9, ignore_na=False),
                ],
            ),
            "flight": pa.Column(checks=between(1, 9999)),
            "distance": pa.Column(checks=[between(0, 6000), pa.Check(lambda s: 1000 <= s.mean() <= 4000)]),
            "dep_delay": pa.Column(
                nullable=True,
                checks=[
                    between(-120, 2000),
                    pa.Check(lambda s: s.notna().mean() >= 0.9, ignore_na=False),
                    pa.Check(lambda s: -120 <= s.min() <= 0),
                    pa.Check(lambda s: 1 <= s.std() <= 500),
                ],
            ),
            "seats": pa.Column(checks=between(1, 600)),
            "is_cancelled": pa.Column(),
        },
        checks=[
            pa.Check(lambda frame: frame["seats"] > frame["crew"]),
            pa.Check(lambda frame: 1 <= len(frame) <= 100_000_000),
        ],
        unique=["carrier", "flight", "event_time"],
    )

    def run() -> list[int]:
        try:
            schema.validate(pd.read_parquet(path), lazy=True)
        except SchemaErrors as errors:
            return [len(errors.failure_cases)]
        return []

    return run


def _by_hand(path: Path) -> Callable[[], list[int]]:
    def run() -> list[int]:
        with connect(scratch=path.parent) as connection:
            query = _BY_HAND.format(path=path, carriers=tuple(CARRIERS), origins=tuple(ORIGINS))
            return [int(value) for value in connection.execute(query).fetchall()[0]]

    return run


PEERS: Mapping[str, Callable[[Path], Callable[[], list[int]]]] = {
    "ours": _ours,
    "Great Expectations on pandas": _great_expectations,
    "pandera on pandas": _pandera,
    "SQL by hand, no rows named": _by_hand,
}


def _rules() -> list[Any]:
    from pipelines.validation.rules import Rule

    def columns(arguments: Mapping[str, Any]) -> tuple[str, ...]:
        names = [arguments[name] for name in ("column", "column_A", "column_B") if name in arguments]
        return (*names, *arguments.get("column_list", ()))

    return [
        Rule(f"{type_}#{position}", type_, position, "warning", columns(arguments), arguments)
        for position, (type_, arguments) in enumerate(EXPECTATIONS, start=1)
    ]


def _measure(name: str, path: Path) -> None:
    """Run one of them here, and print what it took; imports are not part of the time."""
    run = PEERS[name](path)
    import_bytes = _peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    measured = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_bytes": _peak_bytes(),
        "import_bytes": import_bytes,
        "found": found,
    }
    print(json.dumps(measured))


def _peak_bytes() -> int:
    # Not getrusage: its peak is never less than that of the process that we were forked from.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    if sys.argv[1] == "write":
        _write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        _measure(sys.argv[1], Path(sys.argv[2]))
