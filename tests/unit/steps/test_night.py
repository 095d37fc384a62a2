"""A night's page is drawn from what is on record: refused or scored, restated or stale."""

from __future__ import annotations

import json
import shlex
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import toy_world
import typer

from pipelines.cli.main import app
from pipelines.records import IngestionRecord, ScoringRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.night import draw_night, has_page
from pipelines.validation.quarantine import QUARANTINE_SCHEMA

DAY = "2013-01-15"
HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    return toy_world.open_world(tmp_path)


def page_of(runtime: Runtime) -> str:
    return draw_night(toy_world.DATASET, DAY, runtime=runtime).read_text(encoding="utf-8")


def quarantine(runtime: Runtime, *rows: dict[str, Any], table: str = "quarantine") -> None:
    plain = [
        {
            "quarantine_id": f"q{number:015x}",
            "row_id": f"{DAY}|{number}",
            "source_file": "night.csv",
            "source_line": number + 2,
            "row": "{}",
        }
        | row
        for number, row in enumerate(rows)
    ]
    runtime.lake.replace(toy_world.DATASET, table, DAY, pa.Table.from_pylist(plain, schema=QUARANTINE_SCHEMA))


def reasons(*rules: str, value: Any = -5, severity: str = "critical") -> dict[str, str]:
    found = [{"rule": rule, "column": "x", "value": value, "severity": severity} for rule in rules]
    return {"reasons": json.dumps(found)}


def ingestion(**changes: Any) -> IngestionRecord:
    plain = {"dataset": toy_world.DATASET, "partition_key": DAY, "source_uri": "toy.csv", "n_rows": 60}
    return IngestionRecord.model_validate({**plain, "raw_digest": "raw", **changes})


def scoring(validated_digest: str, **changes: Any) -> ScoringRecord:
    plain = {
        "dataset": toy_world.DATASET,
        "partition_key": DAY,
        "model_version": "3",
        "bundle_digest": "b",
        "validated_digest": validated_digest,
        "features_digest": "f",
        "predictions_digest": "p",
        "n_rows": 60,
        "device": "cpu",
    }
    return ScoringRecord.model_validate({**plain, **changes})


def digest_of_day(runtime: Runtime) -> str:
    verdict = runtime.ledger.latest(ValidationRecord, toy_world.DATASET, DAY)
    assert verdict is not None
    return str(verdict.validated_digest)


def test_a_page_comes_with_the_first_record_and_a_repeat_writes_the_same(world: Runtime) -> None:
    assert not has_page(toy_world.DATASET, DAY, runtime=world)
    first = page_of(world)
    assert has_page(toy_world.DATASET, DAY, runtime=world)
    assert page_of(world) == first
    assert "60 rows in, 60 published, 0 in quarantine." in first


def test_quarantined_rows_are_counted_by_rule_with_the_first_of_them(world: Runtime) -> None:
    quarantine(
        world, *[reasons("between", value=-number) for number in range(5)], reasons("between", "unique")
    )
    page = page_of(world)
    assert '<td>between</td><td>x</td><td>critical</td><td class="number">6</td>' in page
    assert '<td>unique</td><td>x</td><td>critical</td><td class="number">1</td>' in page
    assert f"<code>-2</code> in {DAY}|2, night.csv:4 <code>q000000000000002</code>" in page
    assert "q000000000000003" not in page
    assert f"holdfast quarantine release toy {DAY} --id q000000000000000" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("warm", "<code>warm</code>", id="text"),
        pytest.param(None, "<code>null</code>", id="null"),
        pytest.param([1, 2.5], "<code>[1,2.5]</code>", id="two-columns"),
        pytest.param("x" * 1000, f"<code>{'x' * 199}…</code>", id="long-text-is-cut"),
        pytest.param(
            HOSTILE, "<code>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</code>", id="script"
        ),
        pytest.param('"><img src=x onerror=alert(1)>', "<code>&quot;&gt;&lt;img", id="attribute"),
    ],
)
def test_a_bad_value_is_shown_as_the_text_that_it_is(world: Runtime, value: Any, shown: str) -> None:
    quarantine(world, reasons("between", value=value))
    assert shown in page_of(world)


def test_the_command_line_knows_every_command_on_the_page(
    world: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "somebody")
    quarantine(world, reasons("between"))
    shown = unescape(page_of(world).partition("<pre>")[2].partition("</pre>")[0])
    lines = [line for line in shown.splitlines() if line.startswith("holdfast ")]
    assert len(lines) == 7
    for line in lines:
        command, words = typer.main.get_command(app), shlex.split(line)[1:]
        while isinstance(command, typer.core.TyperGroup):
            command = command.commands[words.pop(0)]
        assert command.make_context("holdfast", [*words]).params["dataset"] == "toy"


@pytest.mark.parametrize("field", ["row_id", "source_file"])
def test_keys_and_file_names_run_nothing(world: Runtime, field: str) -> None:
    quarantine(world, reasons(HOSTILE) | {field: HOSTILE})
    page = page_of(world)
    assert "<script" not in page
    assert page.count("&lt;/script&gt;") == 4


def test_every_stage_has_its_quarantine(world: Runtime) -> None:
    quarantine(world, reasons("in_set"), table="quarantine_features")
    page = page_of(world)
    assert "<code>quarantine_features</code>" in page
    assert "holdfast quarantine" not in page


@pytest.mark.parametrize(
    ("record", "says"),
    [
        pytest.param(
            ingestion(restated=("2013-01-13", "2013-01-14")),
            "landed anew: 2013-01-13, 2013-01-14.",
            id="restates",
        ),
        pytest.param(
            ingestion(restated=(*tuple(f"2012-12-{day:02d}" for day in range(1, 32)), "2013-01-01")),
            "2012-12-31 and 1 more.",
            id="restates-many",
        ),
        pytest.param(
            ingestion(restated_by="2013-01-17"), "It was landed anew with 2013-01-17", id="restated"
        ),
        pytest.param(
            ingestion(), f"or run <code>holdfast validate toy {DAY}</code>", id="not-validated-since"
        ),
        pytest.param(
            scoring("other"), f"or run <code>holdfast score toy {DAY}</code>", id="scored-on-other-rows"
        ),
    ],
)
def test_what_changed_since_is_told(world: Runtime, record: Any, says: str) -> None:
    world.ledger.record(record)
    assert says in page_of(world)


def test_rows_without_a_prediction_are_told(world: Runtime) -> None:
    world.ledger.record(scoring(digest_of_day(world), n_rows=58, n_withheld=2))
    page = page_of(world)
    assert "2 published rows have no prediction" in page
    assert "holdfast score" not in page


def test_a_night_that_was_never_validated_has_a_page_too(world: Runtime) -> None:
    night = "2013-01-25"
    page = draw_night(toy_world.DATASET, night, runtime=world).read_text(encoding="utf-8")
    assert "Not validated yet." in page


def test_files_beside_the_page_are_linked(world: Runtime) -> None:
    folder = world.settings.reports / toy_world.DATASET / DAY
    folder.mkdir(parents=True)
    (folder / "validation.html").write_text("GX")
    (folder / "something.html").write_text("else")
    page = page_of(world)
    assert '<a href="validation.html">Data Docs: validation</a>' in page
    assert "something.html" not in page
