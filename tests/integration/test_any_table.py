"""The ugliest tables, from `dataset add` to a scored night and a drift report, without an edit."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
from task_tables import describe, make_site, spread_over_days, table
from ugly_tables import DAYS, FIRST, MAKERS, UglyTable

from pipelines.config import PROJECT_ROOT, Settings, load_params
from pipelines.onboarding.understanding import Asked
from pipelines.runtime import Runtime
from pipelines.steps.add_dataset import add_dataset
from pipelines.steps.ingest import ingest_range
from pipelines.steps.monitor import monitor
from pipelines.steps.reconcile import reconcile
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.table_sample import TableRequest
from pipelines.steps.train import train
from pipelines.steps.validate import validate_range


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the places of a checkout of its own, with the shipped params."""
    iris = spread_over_days(table("iris"), 3)
    settings = make_site(tmp_path, {"iris": (iris, describe(iris))}).settings
    shutil.copy(PROJECT_ROOT / "params.yaml", settings.params)
    return settings


def _bring(ugly: UglyTable, settings: Settings) -> Runtime:
    options = dict(zip(ugly.options[::2], ugly.options[1::2], strict=True))
    asked = Asked(
        target=options.get("--target"),
        time=options.get("--time"),
        key=(options["--key"],) if "--key" in options else None,
    )
    labels_key = (options["--labels-key"],) if "--labels-key" in options else ()
    request = TableRequest(ugly.location, labels=options.get("--labels"), labels_key=labels_key, asked=asked)
    add_dataset("ugly", request, settings=settings, today=date(2021, 4, 1))
    return Runtime(settings=settings, params=load_params(settings.params))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        pytest.param("preamble_and_newlines", {"Guests": 280, "Notes": 280}, id="report-in-utf-16"),
        pytest.param("labels_apart", {"s1": 560}, id="labels-in-another-file"),
        pytest.param("question_marks", {"column0": 900}, id="no-header-no-time"),
    ],
)
def test_an_ugly_table_becomes_a_scored_and_monitored_night(
    settings: Settings, name: str, facts: dict[str, int]
) -> None:
    ugly = MAKERS[name](settings.sources)
    runtime = _bring(ugly, settings)
    first = FIRST.date()
    last = first + timedelta(days=DAYS - 1 if ugly.has_time else 1)
    night, before = last.isoformat(), (last - timedelta(days=1)).isoformat()

    ingest_range("ugly", first.isoformat(), night, runtime=runtime)
    verdicts = validate_range("ugly", first.isoformat(), night, runtime=runtime)
    n_times = 1 if ugly.has_time else 2  # without a time, each night has the whole table
    assert sum(verdict.n_in for verdict in verdicts) == n_times * ugly.n_rows
    assert all(verdict.n_in == verdict.n_published + verdict.n_quarantined for verdict in verdicts)
    raw = runtime.lake.read("ugly", "raw")
    for column, n_present in facts.items():
        assert pc.count(raw[column]).as_py() == n_times * n_present

    version = register(train("ugly", night, runtime=runtime, reason="first"), runtime=runtime).model_version
    for key in (before, night):
        published = next(verdict.n_published for verdict in verdicts if verdict.partition_key == key)
        assert score("ugly", key, runtime=runtime, model_version=version).n_rows == published > 0
    assert reconcile("ugly", night, runtime=runtime) is not None
    drift = monitor("ugly", night, runtime=runtime)
    assert {column.column for column in drift.columns} >= set(runtime.dataset("ugly").features.columns)
    for page in ("index.html", "drift.html", "drift.json"):
        assert (settings.reports / "ugly" / night / page).stat().st_size > 0
