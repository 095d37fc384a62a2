"""A night of 10 million rows with 100,000 planted bad ones of eight kinds: all found, none lost, memory flat.

Every step runs in a process of its own, whose peak memory is told. It asserts that exactly the planted
rows are in quarantine, each with exactly the rules that it breaks; that counts add up; and that the
half of them that is repaired rejoins without a duplicate. It takes some minutes, so that it runs only
when it is named: ``make bench ARGS=large_night``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipelines.runtime import Runtime
from pipelines.storage.engine import connect

DATASET, NIGHT = "meters", "2013-07-04"
N_ROWS = 10_000_000
MAX_RSS_MB = 2_048
# A slot every so many rows; what is planted in a slot goes round through 15 places.
EVERY, OFFSET = 100, 50
PLACES = 15

PARAMS: dict[str, Any] = {
    "description": "Meter readings, made up",
    "task": "regression",
    "source": {"kind": "csv", "tables": {"meters": "meters.csv"}, "lookback_days": 0},
    "key": ["meter", "read_at"],
    "event_time": "read_at",
    "columns": {
        "meter": "string",
        "read_at": "timestamp",
        "site": "string",
        "level": "float",
        "reading": "integer",
        "code": "string",
        "low": "float",
        "high": "float",
    },
    "target": "use",
    "labels": {"use": "float"},
    "features": {"sql": "meters.sql", "numeric": ["level"]},
}
SUITE = """
expectations:
  - {type: expect_column_values_to_be_unique, severity: critical, column: row_id, mostly: 0.9}
  - {type: expect_column_values_to_not_be_null, severity: critical, column: meter, mostly: 0.9}
  - {type: expect_column_values_to_be_between, severity: critical, column: level, min_value: 0,
     max_value: 100, mostly: 0.9}
  - {type: expect_column_values_to_be_in_set, severity: warning, column: site,
     value_set: [north, south, west], mostly: 0.9}
  - {type: expect_column_values_to_match_regex, severity: warning, column: code, regex: "^[A-Z]{2}-[0-9]{3}$",
     mostly: 0.9}
  - {type: expect_column_pair_values_a_to_be_greater_than_b, severity: warning, column_A: high, column_B: low,
     or_equal: true, mostly: 0.9}
"""
UNIQUE, NOT_NULL = "expect_column_values_to_be_unique", "expect_column_values_to_not_be_null"
# By kind: where in the round it is planted, and the rules that it breaks.
KINDS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "null key part": ((0, 1), (NOT_NULL,)),
    "out of range": ((2, 3), ("expect_column_values_to_be_between",)),
    "unknown category": ((4, 5), ("expect_column_values_to_be_in_set",)),
    "bad format": ((6, 7), ("expect_column_values_to_match_regex",)),
    "uncastable text": ((8, 9), ("cast:reading",)),
    "inconsistent pair": ((10, 11), ("expect_column_pair_values_a_to_be_greater_than_b",)),
    "ragged record": ((12, 13), ("cast:record", NOT_NULL, UNIQUE)),
    # The slot repeats the key of the row before it: two bad rows.
    "duplicate key": ((14,), (UNIQUE,)),
}


def main() -> None:
    """Run the trial at full size and print what each step took."""
    with tempfile.TemporaryDirectory(prefix="holdfast-large-night-") as folder:
        for line in trial(Path(folder), n_rows=N_ROWS):
            print(line, flush=True)


def trial(folder: Path, *, n_rows: int) -> Iterator[str]:
    """Run the trial in ``folder``; yield a line for each step."""
    environment = _project(folder)
    runtime = Runtime.load(environment)
    started = time.perf_counter()
    _write_table(folder / "sources" / "meters.csv", n_rows)
    yield f"  {n_rows:,} rows written in {time.perf_counter() - started:.0f} s"
    for verb in ("ingest", "validate"):
        yield _told(verb, _run(environment, verb, DATASET, NIGHT))
    n_bad = _n_slots(n_rows) + _n_slots(n_rows, "duplicate key")
    _assert_quarantine(runtime, n_rows, n_bad)
    yield f"  exactly the {n_bad:,} planted rows are in quarantine, each with exactly its rules"
    export = folder / "rows.jsonl"
    yield _told("export", _run(environment, "quarantine", "show", DATASET, NIGHT, "--out", str(export)))
    edited = folder / "edited.jsonl"
    n_repaired = _repair_half(export, edited)
    said = ("--reason", "benchmark", "--actor", "bench")
    yield _told("repair", _run(environment, "quarantine", "repair", DATASET, NIGHT, str(edited), *said))
    _assert_rejoined(runtime, n_rows, n_bad, n_repaired)
    yield f"  {n_repaired:,} repaired rows rejoined, and no row_id is there twice"


def _project(folder: Path) -> dict[str, str]:
    """Write a project of one dataset; return the environment that names it."""
    (folder / "sources").mkdir()
    (folder / "expectations").mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump({"datasets": {DATASET: PARAMS}}), encoding="utf-8")
    (folder / "expectations" / f"{DATASET}_raw.yaml").write_text(SUITE, encoding="utf-8")
    return {
        "HOLDFAST_HOME": str(folder),
        "HOLDFAST_PROJECT": str(folder),
        "HOLDFAST_PARAMS": str(folder / "params.yaml"),
    }


def _write_table(path: Path, n_rows: int) -> None:
    """Write the table as text, so that what is planted is there to the letter."""
    place = f"CASE WHEN i % {EVERY} = {OFFSET} THEN (i // {EVERY}) % {PLACES} END"

    def planted(kind: str) -> str:
        return f"place IN ({', '.join(map(str, KINDS[kind][0]))})"

    cells = [
        f"CASE WHEN {planted('null key part')} THEN '' WHEN {planted('duplicate key')} "
        "THEN 'm' || (i - 1) % 50000 ELSE 'm' || i % 50000 END",
        f"strftime(TIMESTAMP '{NIGHT}' + to_milliseconds(8 * (i - CAST({planted('duplicate key')} IS TRUE AS "
        "BIGINT))), '%Y-%m-%d %H:%M:%S.%g')",
        f"CASE WHEN {planted('unknown category')} THEN 'atlantis' "
        "ELSE ['north', 'south', 'west'][i % 3 + 1] END",
        f"CASE WHEN {planted('out of range')} THEN '1000000' ELSE CAST(i % 1000 / 10 AS VARCHAR) END",
        f"CASE WHEN {planted('uncastable text')} THEN 'many' ELSE CAST(i AS VARCHAR) END",
        f"CASE WHEN {planted('bad format')} THEN 'x?' "
        "ELSE 'AB-' || lpad(CAST(i % 1000 AS VARCHAR), 3, '0') END",
        f"CASE WHEN {planted('inconsistent pair')} THEN '9' ELSE '1' END",
        "'5'",
        "'0.5'",
    ]
    line = f"CASE WHEN {planted('ragged record')} THEN 'torn,off' ELSE concat_ws(',', {', '.join(cells)}) END"
    header = "meter,read_at,site,level,reading,code,low,high,use"
    with connect(memory="512MB") as connection:
        connection.execute(
            f"COPY (SELECT '{header}' AS line UNION ALL SELECT {line} FROM "  # noqa: S608 (made here)
            f"(SELECT i, {place} AS place FROM range({n_rows}) AS numbers (i))) "
            f"TO '{path}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\\x01')"
        )


def _n_slots(n_rows: int, kind: str | None = None) -> int:
    places = range(PLACES) if kind is None else KINDS[kind][0]
    slots = range(OFFSET, n_rows, EVERY)
    return sum(1 for i in slots if (i // EVERY) % PLACES in places)


def _run(environment: dict[str, str], *arguments: str) -> dict[str, float]:
    """Run one command in a process of its own; return its seconds (also of CPU) and its peak memory in MB."""
    program = (
        "import json, resource, sys\n"
        "from pipelines.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\nelse:\n    code = 0\n"
        "own, children = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))\n"
        "cpu = sum(used.ru_utime + used.ru_stime for used in (own, children))\n"
        # Not getrusage's own peak: it is never less than that of the process that forked this one.
        "status = open('/proc/self/status').read()\n"
        "peak = int(status.partition('VmHWM:')[2].split()[0]) / 1024\n"
        "took = {'rss_mb': peak, 'children_mb': children.ru_maxrss / 1024, 'cpu': cpu}\n"
        "print(json.dumps(took), file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    peaks: dict[str, float] = json.loads(done.stderr.strip().splitlines()[-1])
    return {**peaks, "seconds": time.perf_counter() - started}


def _told(what: str, took: dict[str, float]) -> str:
    peak = max(took["rss_mb"], took["children_mb"])
    assert peak <= MAX_RSS_MB, f"{what} took {peak:.0f} MB of memory, more than {MAX_RSS_MB}"
    children = f"(its children {took['children_mb']:.0f})"
    seconds = f"{took['seconds']:7.1f} s (CPU {took['cpu']:.1f})"
    return f"  {what:9} {seconds}   peak {took['rss_mb']:6.0f} MB {children}"


def _assert_quarantine(runtime: Runtime, n_rows: int, n_bad: int) -> None:
    """Assert that the rows in quarantine are the planted ones, by their lines, with exactly their rules."""
    expected = " ".join(
        f"WHEN {place} THEN {sorted(rules)!r}" for places, rules in KINDS.values() for place in places
    )
    slots = (
        f"SELECT i + 2 AS line, CASE (i // {EVERY}) % {PLACES} {expected} END AS rules "  # noqa: S608
        f"FROM range({OFFSET}, {n_rows}, {EVERY}) AS slots (i) UNION ALL "
        f"SELECT i + 1, ['{UNIQUE}'] FROM range({OFFSET}, {n_rows}, {EVERY}) AS slots (i) "
        f"WHERE (i // {EVERY}) % {PLACES} = {KINDS['duplicate key'][0][0]}"
    )
    found = (
        "SELECT source_line AS line, list_sort(list_transform(json_extract(reasons, '$[*]'), "
        "lambda reason: json_extract_string(reason, '/rule'))) AS rules FROM quarantined"
    )
    with connect(memory="512MB") as connection:
        runtime.lake.attach(connection, DATASET, "quarantine", view="quarantined", partitions=[NIGHT])
        runtime.lake.attach(connection, DATASET, "validated", view="published", partitions=[NIGHT])
        wrong = connection.sql(
            f"SELECT line, s.rules, f.rules FROM ({slots}) AS s FULL JOIN ({found}) AS f USING (line) "  # noqa: S608
            "WHERE s.rules IS DISTINCT FROM f.rules LIMIT 5"
        ).fetchall()
        assert not wrong, f"other rows than planted, or other rules: {wrong}"
        ((n_found,),) = connection.sql("SELECT count(*) FROM quarantined").fetchall()
        ((n_published,),) = connection.sql("SELECT count(*) FROM published").fetchall()
    assert (n_found, n_published) == (n_bad, n_rows - n_bad)


def _repair_half(export: Path, edited: Path) -> int:
    """Mend every other planted row, as a person would in the export; return how many rows those are."""
    n_repaired = 0
    with export.open(encoding="utf-8") as source, edited.open("w", encoding="utf-8") as target:
        for text in source:
            row = json.loads(text)
            i = row["source_line"] - 2
            slot = (i + 1) // EVERY if i % EVERY == OFFSET - 1 else i // EVERY
            if (slot // PLACES) % 2:
                continue
            milliseconds = 8 * i
            moment = f"{NIGHT} {milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}:"
            row["row"] |= {
                "meter": f"repaired{i}",
                "read_at": f"{moment}{milliseconds // 1_000 % 60:02}.{milliseconds % 1_000:03}",
                "site": "north",
                "level": 5.5,
                "reading": i,
                "code": "AB-123",
                "low": 1,
                "high": 5,
            }
            target.write(json.dumps(row) + "\n")
            n_repaired += 1
    return n_repaired


def _assert_rejoined(runtime: Runtime, n_rows: int, n_bad: int, n_repaired: int) -> None:
    from pipelines.records import AmendmentRecord

    record = runtime.ledger.latest(AmendmentRecord, DATASET, NIGHT)
    assert record is not None
    counts = (record.n_rows, record.n_rejoined, record.n_staying, record.n_published, record.n_quarantined)
    n_left = n_bad - n_repaired
    assert counts == (n_repaired, n_repaired, 0, n_rows - n_left, n_left), counts
    with connect(memory="1GB") as connection:
        runtime.lake.attach(connection, DATASET, "validated", view="published", partitions=[NIGHT])
        twice = connection.sql(
            "SELECT row_id FROM published GROUP BY row_id HAVING count(*) > 1 LIMIT 5"
        ).fetchall()
        ((n_there,),) = connection.sql(
            "SELECT count(*) FROM published WHERE contains(row_id, 'repaired')"
        ).fetchall()
    assert not twice, f"published twice: {twice}"
    assert n_there == n_repaired
