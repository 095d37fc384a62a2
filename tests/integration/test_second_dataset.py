"""A second dataset by configuration, features SQL and a suite alone: from its file to a monitored night.

The table is made up; where the real one is at hand (beside the checkout, or named by BIKES_CSV), the
same is done on it.
"""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from bike_files import as_csv, bike_rows

from pipelines.config import PROJECT_ROOT
from pipelines.steps.gate import gate
from pipelines.steps.ingest import ingest, ingest_range
from pipelines.steps.monitor import monitor
from pipelines.steps.promote import promote
from pipelines.steps.reconcile import reconcile
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.show import render_passport, show_model
from pipelines.steps.train import train
from pipelines.steps.validate import validate, validate_range

FIRST, LAST, NIGHT = "2011-01-01", "2011-03-11", "2011-03-12"
N_DAYS = 70
REAL = Path(os.environ.get("BIKES_CSV", PROJECT_ROOT.parent / "shared/data/bike_sharing/hour.csv"))
TABLES = ["made-up", *(["real"] if REAL.is_file() else [])]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_becomes_scored_and_monitored_nights(table, make_runtime, tmp_path):
    source = tmp_path / "home" / "sources" / "bikes" / "hour.csv"
    source.parent.mkdir(parents=True)
    if table == "real":
        shutil.copy(REAL, source)
    else:
        source.write_text(as_csv(bike_rows(date(2011, 1, 1), N_DAYS + 3)))
    quick = {
        "candidates": ["hist_gradient_boosting"],
        "max_iterations": 80,
        "min_days": 30,
        "holdout_days": 14,
    }
    runtime = make_runtime({"datasets": {"bikes": {"enabled": True, "training": quick}}})

    landed = ingest_range("bikes", FIRST, LAST, runtime=runtime)
    verdicts = validate_range("bikes", FIRST, LAST, runtime=runtime)
    assert len(landed) == len(verdicts) == N_DAYS
    assert {verdict.outcome for verdict in verdicts} <= {"passed", "warned"}
    assert sum(v.n_in for v in verdicts) == sum(v.n_published + v.n_quarantined for v in verdicts)

    record = register(train("bikes", LAST, runtime=runtime, reason="first"), runtime=runtime)
    assert record.trained.metrics["rmse"] < record.trained.metrics["baseline_rmse"]
    assert gate("bikes", record.model_version, runtime=runtime).is_passed
    assert promote("bikes", record.model_version, runtime=runtime, actor="test").is_promoted

    n_rows = 0
    for night in (LAST, NIGHT):
        ingest("bikes", night, runtime=runtime)
        n_rows = validate("bikes", night, runtime=runtime).n_published
        assert score("bikes", night, runtime=runtime).n_rows == n_rows
    performance = reconcile("bikes", NIGHT, runtime=runtime)
    assert performance is not None
    assert performance.partition_key == LAST
    assert performance.metrics["rmse"] > 0
    drift = monitor("bikes", NIGHT, runtime=runtime)
    assert {column.column for column in drift.columns} >= set(runtime.dataset("bikes").features.columns)
    for page in ("index.html", "drift.html", "drift.json", "validation.html"):
        assert (runtime.settings.reports / "bikes" / NIGHT / page).stat().st_size > 0
    passport = render_passport(show_model("bikes", "champion", runtime=runtime))
    assert f"{FIRST} to" in passport
    leaked = {"casual", "registered", "cnt"} & set(runtime.lake.read("bikes", "validated").column_names)
    assert leaked == set()
