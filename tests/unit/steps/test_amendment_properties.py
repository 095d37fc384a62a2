"""Whatever the table and whatever people amend: nothing is lost or there twice, and all can be undone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.config import Params, load_settings
from pipelines.records import AmendmentRecord, IngestionRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.amend import Request, release, repair, undo
from pipelines.steps.quarantine import show_rows
from pipelines.steps.validate import validate_range
from pipelines.storage.columns import ARROW_TYPES

DAY = "2013-07-04"
RULES = (
    "{type: expect_column_values_to_be_unique, severity: critical, column: row_id, mostly: 0.2}",
    "{type: expect_column_values_to_be_between, severity: warning, column: level, max_value: 5}",
    "{type: expect_column_values_to_not_be_null, severity: warning, column: level}",
    "{type: expect_column_values_to_be_in_set, severity: info, column: site, value_set: [a]}",
    "{type: expect_column_mean_to_be_between, severity: warning, column: level, max_value: 3}",
)
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "é", "'", '"']),
        st.sampled_from([None, 0.5, 4.0, 6.0, 1e300]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
suites = st.lists(st.sampled_from(RULES), min_size=1, max_size=5, unique=True)


def open_project(folder: Path, suite: list[str]) -> Runtime:
    (folder / "expectations").mkdir()
    text = "expectations:\n" + "".join(f"  - {rule}\n" for rule in suite)
    (folder / "expectations" / "sites_raw.yaml").write_text(text, encoding="utf-8")
    dataset = {
        "description": "Sites",
        "task": "regression",
        "source": {"kind": "csv", "tables": {"sites": "sites.csv"}},
        "key": ["site"],
        "columns": {"site": "string", "level": "float"},
        "target": "use",
        "labels": {"use": "float"},
        "features": {"sql": "sites.sql", "numeric": ["level"]},
        "quality": {"max_quarantined_fraction": 1.0},
    }
    found = load_settings({"HOLDFAST_HOME": str(folder), "HOLDFAST_PROJECT": str(folder)})
    return Runtime(settings=found, params=Params.model_validate({"datasets": {"sites": dataset}}))


def land(runtime: Runtime, cells: list[tuple[str, float | None, bool]]) -> None:
    ordered = sorted(enumerate(cells), key=lambda entry: (entry[1][0].encode(), entry[0]))
    kinds = {"event_time": ARROW_TYPES["timestamp"], "level": pa.float64(), "source_line": pa.int64()}
    table = [
        {
            "row_id": f"{DAY}|{site}",
            "event_time": None,
            "site": site,
            "level": None if is_miscast else level,
            "miscast": json.dumps({"level": "x"}) if is_miscast else None,
            "source_file": "sites.csv",
            "source_line": line,
            "position": position,
        }
        for position, (line, (site, level, is_miscast)) in enumerate(ordered)
    ]
    schema = pa.schema(
        [(name, kinds.get(name, pa.int64() if name == "position" else pa.string())) for name in table[0]]
    )
    version = runtime.lake.replace("sites", "raw", DAY, pa.Table.from_pylist(table, schema=schema))
    runtime.ledger.record(
        IngestionRecord(
            dataset="sites",
            partition_key=DAY,
            source_uri="",
            raw_digest=version.digest,
            n_rows=version.n_rows,
        )
    )


def verdict(runtime: Runtime) -> ValidationRecord:
    """Validate; the counts add up, and no row that people touched is published twice."""
    (record,) = validate_range("sites", DAY, DAY, runtime=runtime)
    n_kept = runtime.lake.read("sites", "quarantine", partitions=[DAY]).num_rows
    assert n_kept == record.n_quarantined
    if record.outcome != "refused":
        assert record.n_in == record.n_published + record.n_quarantined
        assert runtime.lake.read("sites", "validated", partitions=[DAY]).num_rows == record.n_published
    return record


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(cells=rows, suite=suites, choice=st.randoms(use_true_random=False))
def test_amended_rows_rejoin_once_and_undo_restores_every_digest(cells, suite, choice) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runtime = open_project(Path(folder), suite)
        land(runtime, cells)
        before = verdict(runtime)
        kept = runtime.lake.read("sites", "quarantine", partitions=[DAY])
        quarantined = [row.quarantine_id for row in show_rows("sites", DAY, runtime=runtime, limit=100)]
        assert len(set(quarantined)) == len(quarantined)
        request = Request("sites", DAY, "ann", "a trial")
        mended = {key: {"site": f"new{n}", "level": "1"} for n, key in enumerate(quarantined)}
        some = dict(choice.sample(sorted(mended.items()), choice.randint(0, len(mended))))
        if some:
            record = repair(request, runtime=runtime, cells=some)
            assert isinstance(record, AmendmentRecord)
            assert record.n_staying == 0, "a row without a fault is not kept back"
        release(request, runtime=runtime, is_all=True)
        after = verdict(runtime)
        if after.outcome != "refused":
            published = runtime.lake.read("sites", "validated", partitions=[DAY])["row_id"].to_pylist()
            assert all(published.count(f"{DAY}|{row['site']}") == 1 for row in some.values())
        undo(request, runtime=runtime, is_all=True)
        again = verdict(runtime)
        # A refusal says what was published in between; all else is as before.
        changed = {"reasons": ()} if before.outcome == "refused" else {}
        assert again.model_copy(update=changed).digest == before.model_copy(update=changed).digest
        assert runtime.lake.read("sites", "quarantine", partitions=[DAY]).equals(kept)
