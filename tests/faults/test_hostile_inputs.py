"""Files that mean harm: an error that says which, or quarantine; no escape, no live script, and a next night.

All of them lie in one small project, a night each, and go through the real steps in two goes (text files,
Parquet). What became of each is then looked at one by one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hostile_inputs as hostile
import pyarrow as pa
import pytest
import yaml
from hostile_inputs import HostileInput, hostile_inputs
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.config import PROJECT_ROOT, Settings, load_settings
from pipelines.errors import ConfigError, DataError, HoldfastError, NotReadyError, SchemaError
from pipelines.ingestion.reading import stage_source
from pipelines.records import IngestionRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.amend import Request, repair
from pipelines.steps.ingest import ingest, ingest_range
from pipelines.steps.quarantine import export_rows
from pipelines.steps.validate import validate_range

KINDS = ("csv", "parquet")
# These are large, or unpack to much: they go one by one, and what they take is measured.
WORST = (
    *(
        "text-100-mb-cell",
        "text-100-mb-quoted-cell",
        "text-10000-columns",
        "zip-bomb-10-gb",
        "gzip-bomb-10-gb",
    ),
    *("parquet-bomb-dictionary", "parquet-bomb-run-length-nulls", "parquet-odd-100-mb-cell"),
)
ALL = hostile_inputs()
INPUTS = [found for found in ALL if found.id not in WORST]
OF_KIND = {kind: [found for found in INPUTS if found.kind == kind] for kind in KINDS}
MAX_BYTES = 1_500_000_000
SUITE = """
expectations:
  - {type: expect_column_values_to_be_unique, severity: critical, column: row_id, mostly: 0.01}
  - {type: expect_column_values_to_not_be_null, severity: critical, column: event_time, mostly: 0.01}
  - {type: expect_column_values_to_be_in_set, severity: warning, column: site, mostly: 0.01,
     value_set: [north, south, east, west]}
  - {type: expect_column_values_to_be_between, severity: critical, column: level, mostly: 0.01,
     min_value: 0, max_value: 1000}
"""


def config_of(kind: str) -> dict[str, Any]:
    """Return the entry of a dataset that has a file a night."""
    return {
        "description": "Meters",
        "task": "binary",
        "source": {"kind": kind, "tables": {"meters": kind + "/{partition_key}*"}, "lookback_days": 0},
        "key": ["id", "site"],
        "event_time": "at",
        "columns": {"id": "integer", "at": "timestamp", "site": "string", "level": "float"},
        "target": "late",
        "labels": {"late": "integer"},
        "features": {"sql": "meters.sql", "numeric": ["level"]},
        "quality": {"max_quarantined_fraction": 0.9},
    }


def make_project(root: Path) -> Settings:
    """Write a project with the two datasets below a folder."""
    (root / "expectations").mkdir(parents=True)
    for kind in KINDS:
        (root / "expectations" / f"{kind}_raw.yaml").write_text(SUITE)
        (root / "var" / "sources" / kind).mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump({"datasets": {kind: config_of(kind) for kind in KINDS}}))
    return load_settings({"HOLDFAST_PROJECT": str(root), "HOLDFAST_DEVICE": "cpu"})


def deliver(settings: Settings, position: int, given: HostileInput) -> str:
    """Write the file of a night; return the night."""
    night = hostile.night_of(position)
    (settings.sources / given.kind / f"{night}{given.suffix}").write_bytes(given.make(night))
    return night.isoformat()


def deliver_good(settings: Settings, kind: str, position: int) -> str:
    """Write a good file; return its night."""
    night = hostile.night_of(position)
    good = hostile.text_of(night) if kind == "csv" else hostile.parquet_of(hostile.good_table(night))
    (settings.sources / kind / f"{night}.{kind}").write_bytes(good)
    return night.isoformat()


@dataclass(frozen=True)
class World:
    """The project after everything has gone through it.

    Parameters
    ----------
    refusals : mapping of str to str
        Of each kind and file's name: why it is unreadable as a whole.
    problems : tuple of HoldfastError
        What the two calls over all nights raised.
    """

    runtime: Runtime
    refusals: dict[str, str]
    problems: tuple[HoldfastError, ...]
    outside: Path

    def ingestion(self, given: HostileInput) -> IngestionRecord | None:
        return self.runtime.ledger.latest(IngestionRecord, given.kind, night_of(given))

    def validation(self, given: HostileInput) -> ValidationRecord | None:
        return self.runtime.ledger.latest(ValidationRecord, given.kind, night_of(given))


def night_of(given: HostileInput) -> str:
    """Return the night of an input."""
    return hostile.night_of(OF_KIND[given.kind].index(given)).isoformat()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("hostile")
    settings = make_project(root / "project")
    runtime = Runtime.load({"HOLDFAST_PROJECT": str(root / "project"), "HOLDFAST_DEVICE": "cpu"})
    problems: list[HoldfastError] = []
    refusals: dict[str, str] = {}
    for kind, inputs in OF_KIND.items():
        for position, given in enumerate(inputs):
            deliver(settings, position, given)
        last = deliver_good(settings, kind, len(inputs))
        nights = [hostile.night_of(position) for position in range(len(inputs))]
        with stage_source(runtime.dataset(kind).source, settings, days=nights, keep_refused=True) as tables:
            refusals |= {
                f"{kind}/{file.day}": file.refusal for file in tables["meters"] if file.refusal is not None
            }
        for step in (ingest_range, validate_range):
            with pytest.raises(HoldfastError) as caught:
                step(kind, str(hostile.FIRST), last, runtime=runtime)
            problems.append(caught.value)
    yield World(runtime, refusals, tuple(problems), root)
    # Some of the files are large.
    shutil.rmtree(root)


def test_there_are_two_hundred_of_twenty_families() -> None:
    assert len({given.id for given in ALL}) == len(ALL) >= 200
    assert len({given.family for given in ALL}) >= 20


@pytest.mark.parametrize("given", [pytest.param(found, id=found.id) for found in INPUTS])
def test_an_input_is_refused_by_name_or_its_counts_add_up(world: World, given: HostileInput) -> None:
    ingestion, validation = world.ingestion(given), world.validation(given)
    if ingestion is None:
        assert given.expects in ("refused", "any")
        assert validation is None
        return
    assert validation is not None
    assert ingestion.n_read == ingestion.n_rows + ingestion.n_replayed + ingestion.n_superseded
    assert validation.n_in == ingestion.n_rows
    if validation.outcome == "refused":
        assert given.expects in ("stopped", "any")
        assert validation.n_published == 0
        return
    assert validation.n_in == validation.n_published + validation.n_quarantined
    assert given.expects == "any" or (given.expects == "quarantined" and validation.n_quarantined > 0)


def test_the_calls_over_all_nights_say_how_many_failed_and_go_on(world: World) -> None:
    for problem, wanted in zip(world.problems, (SchemaError, NotReadyError) * 2, strict=True):
        assert isinstance(problem, wanted)
        assert len(str(problem)) <= 2_000
        assert all(sign.isprintable() for sign in str(problem))


def test_a_file_that_is_unreadable_is_named_in_few_words(world: World) -> None:
    assert len(world.refusals) > 90
    for night, refusal in world.refusals.items():
        assert night in refusal
        assert len(refusal) < 1_000
        assert "Traceback" not in refusal


@pytest.mark.parametrize(
    "name",
    [
        "zip-two-members",
        "gzip-half",
        "text-html-page",
        "text-header-sql",
        "text-header-path",
        "file-name-refused-terminal",
        "file-name-refused-line-end",
        "file-name-refused-no-utf-8",
        "parquet-cut-00",
        "parquet-wide-10000-columns",
        "parquet-forged-other-columns",
        "parquet-odd-no-text",
        "parquet-odd-before-time",
    ],
)
def test_the_error_of_a_night_names_the_file_of_that_night(world: World, name: str) -> None:
    given = next(found for found in INPUTS if found.id == name)
    with pytest.raises(SchemaError) as caught:
        ingest(given.kind, night_of(given), runtime=world.runtime)
    said = str(caught.value)
    assert f"{given.kind}/{night_of(given)}" in said
    assert len(said) < 1_000
    assert all(sign.isprintable() for sign in said)


@pytest.mark.parametrize("kind", KINDS)
def test_the_night_after_them_all_is_as_good_as_ever(world: World, kind: str) -> None:
    night = hostile.night_of(len(OF_KIND[kind])).isoformat()
    record = world.runtime.ledger.latest(ValidationRecord, kind, night)
    assert record is not None
    assert (record.outcome, record.n_published, record.n_quarantined) == ("passed", hostile.N_GOOD, 0)
    assert world.runtime.lake.exists(kind, "raw"), "no cell dropped a table"


def test_nothing_is_written_outside_the_project_s_state(world: World) -> None:
    project = world.runtime.settings.project
    assert {path.name for path in world.outside.iterdir()} == {project.name}
    assert {path.name for path in project.iterdir()} == {"expectations", "params.yaml", "var"}
    assert {path.name for path in (project / "expectations").iterdir()} == {
        "csv_raw.yaml",
        "parquet_raw.yaml",
    }
    assert not list(project.rglob(f"*{hostile.MARKER}*"))
    for place in ("/tmp/holdfast-escaped.csv", "/tmp/holdfast-escaped.db", f"/tmp/{hostile.MARKER}.csv"):
        assert not Path(place).exists()


class _Page(HTMLParser):
    """Collects what a browser could run or fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.live: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "iframe", "object", "embed", "svg", "math", "base", "form", "input", "img"}:
            self.live.append(tag)
        if tag == "meta" and ("http-equiv", "refresh") in attrs:
            self.live.append("refresh")
        for name, value in attrs:
            address = (value or "").strip().lower()
            if name.startswith("on") or name == "srcdoc":
                self.live.append(name)
            elif name in {"href", "src", "action"} and (":" in address or address.startswith("//")):
                self.live.append(address)


def test_no_page_holds_anything_alive(world: World) -> None:
    pages = sorted(world.runtime.settings.reports.rglob("*.html"))
    assert {path.name for path in pages} == {"index.html", "validation.html"}
    assert len(pages) > 200
    texts = [path.read_text(encoding="utf-8") for path in pages]
    assert sum("alert(1)" in text for text in texts) > 20, "what was tried is shown, as text"
    assert {
        path.name: live for path, text in zip(pages, texts, strict=True) if (live := _Page(text).live)
    } == {}
    assert max(path.stat().st_size for path in pages) < 500_000


def test_formulas_are_exported_as_text_and_come_back_as_they_were(world: World, tmp_path: Path) -> None:
    given = next(found for found in INPUTS if found.id == "formula-cell-01")
    path = tmp_path / "rows.csv"
    n_rows = export_rows(given.kind, night_of(given), path, runtime=world.runtime)
    assert n_rows == 2
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t"))]
    assert sorted(row["site"] for row in rows) == ["'" + hostile.FORMULAS[1], "north"]
    request = Request(given.kind, night_of(given), "tester", "=1+1")
    n_repaired = repair(request, runtime=world.runtime, path=path, is_dry_run=True)
    assert n_repaired == 0, "nothing was edited"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("edits.csv", b'quarantine_id,site\n"\'; DROP TABLE raw; --",north\n', id="sql-as-a-key"),
        pytest.param("edits.csv", b"quarantine_id,../site\nq1,x\n", id="path-as-a-column"),
        pytest.param("edits.csv", b"\xff\xfe\0", id="no-text"),
        pytest.param("edits.csv", b"", id="empty"),
        pytest.param("edits.jsonl", b"[" * 100_000, id="deep"),
        pytest.param("edits.jsonl", b'{"quarantine_id": 1e999, "row": null}\n', id="no-row"),
        pytest.param("edits.jsonl", b"\0" * 1_000, id="nul"),
        pytest.param("edits.exe", b"MZ", id="no-table"),
    ],
)
def test_a_hostile_edit_is_refused_in_a_sentence(
    world: World, tmp_path: Path, name: str, content: bytes
) -> None:
    given = next(found for found in INPUTS if found.id == "formula-cell-00")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        repair(
            Request(given.kind, night_of(given), "tester", "why"),
            runtime=world.runtime,
            path=tmp_path / name,
        )
    assert name in str(caught.value)
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("ingest", "../../etc", "2024-01-01"), id="dataset-climbs"),
        pytest.param(("validate", "../csv", "2024-01-01"), id="dataset-climbs-to-validate"),
        pytest.param(("ingest", "csv'; DROP TABLE raw; --", "2024-01-01"), id="dataset-sql"),
        pytest.param(("ingest", "csv\x1b[2J", "2024-01-01"), id="dataset-terminal"),
        pytest.param(("ingest", "csv", "../2024-01-01"), id="key-climbs"),
        pytest.param(("ingest", "csv", "2024-02-30"), id="key-no-day"),
        pytest.param(("validate", "csv", "20240101"), id="key-other-form"),
        pytest.param(("validate", "csv", "2024-W01-1"), id="key-week"),
        pytest.param(("validate", "csv", "2024-01-01' OR '1'='1"), id="key-sql"),
        pytest.param(("ingest", "csv", "２０２４-01-01"), id="key-other-digits"),
        pytest.param(("ingest", "csv", "2024-01-01", "--last", "2023-01-01"), id="range-backwards"),
        pytest.param(("quarantine", "show", "csv", "../../x"), id="quarantine-key"),
        pytest.param(("quarantine", "list", "../csv"), id="quarantine-dataset"),
        pytest.param(("dataset", "add", "../../evil", "csv/*.csv"), id="add-climbs"),
        pytest.param(("dataset", "add", "a'; DROP TABLE raw; --", "csv/*.csv"), id="add-sql"),
        pytest.param(("dataset", "add", "x" * 5_000, "csv/*.csv"), id="add-long"),
        pytest.param(("dataset", "add", "csv", "csv/*.csv"), id="add-taken"),
    ],
)
def test_a_hostile_argument_is_a_person_s_mistake(
    world: World, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOLDFAST_PROJECT", str(world.runtime.settings.project))
    answer = CliRunner().invoke(app, list(arguments))
    assert isinstance(answer.exception, ConfigError)
    assert len(str(answer.exception)) < 1_000
    assert all(sign.isprintable() or sign == "\n" for sign in str(answer.exception))


@pytest.mark.parametrize(
    ("name", "content", "is_added"),
    [
        pytest.param("headers.csv", None, True, id="hostile-headers"),
        pytest.param("wide.csv", hostile.wide_text(), False, id="wide"),
        pytest.param("bomb.zip", hostile.zip_bomb(), False, id="zip-bomb"),
        pytest.param("cut.parquet", b"PAR1" + b"\0" * 99, False, id="cut-parquet"),
        pytest.param("one-line.csv", b"id,at," + b"x" * 2_000_000, False, id="one-line"),
        pytest.param("far.parquet", hostile.far_parquet(), True, id="far-times"),
        pytest.param("bare.parquet", hostile.parquet_of(pa.table({})), False, id="no-columns"),
        pytest.param("noise.csv", bytes(range(256)) * 99, False, id="noise"),
        pytest.param("nothing.csv", b"", False, id="empty"),
        pytest.param("\x1b[2J.csv", b"", False, id="name-of-a-terminal"),
    ],
)
def test_a_hostile_table_is_brought_safely_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, is_added: bool
) -> None:
    settings = make_project(tmp_path / "project")
    before = settings.params.read_text()
    headers = [
        "at",
        '"; DROP TABLE raw; --',
        "../../x",
        "<script>alert(1)</script>",
        "{% raw %}",
        "=1+1",
        "y",
    ]
    rows = [
        [hostile.night_of(row // 4), *(f"{row % 7}.{column}" for column in range(5)), row % 2]
        for row in range(400)
    ]
    path = settings.sources / name
    if content is None:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([headers, *rows])
    else:
        path.write_bytes(content)
    monkeypatch.setenv("HOLDFAST_PROJECT", str(settings.project))
    answer = CliRunner().invoke(app, ["dataset", "add", "brought", name, "--target", "y"])
    if is_added:
        assert (answer.exit_code, answer.exception) == (0, None)
        found = Runtime.load({"HOLDFAST_PROJECT": str(settings.project)}).dataset("brought")
        assert all(column.isidentifier() for column in found.columns)
        assert {path.name for path in settings.project.iterdir()} == {
            "expectations",
            "params.yaml",
            "pipelines",
            "var",
        }
        return
    assert isinstance(answer.exception, DataError | ConfigError)
    assert name.isprintable() is (name in str(answer.exception))
    assert all(sign.isprintable() or sign == "\n" for sign in str(answer.exception))
    assert settings.params.read_text() == before


MEASURED = """
import json, re, resource, sys
from pathlib import Path
from typer.testing import CliRunner
from pipelines.cli.main import app
for commands in json.load(sys.stdin):
    found = [type(CliRunner().invoke(app, command).exception).__name__ for command in commands]
    # Not getrusage: its peak of a process counts what its parent had when it was forked.
    own = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps([found, own, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def test_the_worst_are_refused_or_set_aside_in_little_memory(tmp_path: Path) -> None:
    settings = make_project(tmp_path / "project")
    given = [next(found for found in ALL if found.id == name) for name in WORST]
    # Some nights apart, so that no ingestion looks into the next one's file.
    nights = [(found.kind, deliver(settings, 5 * position, found)) for position, found in enumerate(given)]
    nights.append(("csv", deliver_good(settings, "csv", 5 * len(nights))))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=json.dumps([[[verb, *night] for night in nights] for verb in ("ingest", "validate")]),
        env=os.environ | {"HOLDFAST_PROJECT": str(settings.project), "PYTHONPATH": str(PROJECT_ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.rmtree(settings.home)
    ingested, validated = [json.loads(line) for line in done.stdout.splitlines()]
    fates = [found.expects for found in given]
    assert ingested[0] == [{"refused": "SchemaError"}.get(fate, "NoneType") for fate in fates] + ["NoneType"]
    assert validated[0] == [{"refused": "NotReadyError"}.get(fate, "NoneType") for fate in fates] + [
        "NoneType"
    ]
    # The process that parses is another; the two do not peak together.
    assert max(*ingested[1:], *validated[1:]) < MAX_BYTES
    assert "Traceback" not in done.stderr
