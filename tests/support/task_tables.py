"""Small real tables that scikit-learn ships, as CSV files of a project of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

from pipelines.config import PROJECT_ROOT, Params, load_settings
from pipelines.runtime import Runtime

FIRST = date(2024, 3, 1)
_PARTS = ("pipelines", "dvc.yaml", ".dvc", ".dvcignore", ".gitignore")
_SUITE = """
expectations:
  - type: expect_table_row_count_to_be_between
    severity: critical
    min_value: 1
"""


def table(name: str) -> pd.DataFrame:
    """Return one of scikit-learn's tables, rows in random order, with plain names and named classes."""
    loaded = {"iris": load_iris, "wine": load_wine, "cancer": load_breast_cancer}[name](as_frame=True)
    frame = loaded.data.rename(columns=lambda column: "".join(c if c.isalnum() else "_" for c in column))
    frame["outcome"] = [str(loaded.target_names[number]) for number in loaded.target]
    shuffled = frame.sample(frac=1.0, random_state=7).reset_index(drop=True)
    return shuffled.rename_axis("id").reset_index()


def spread_over_days(frame: pd.DataFrame, n_days: int) -> pd.DataFrame:
    """Return the rows with a day ``at``, as many on each of ``n_days`` days."""
    place = np.arange(len(frame)) * n_days // len(frame)
    return frame.assign(at=[(FIRST + timedelta(days=int(n))).isoformat() for n in place])


def day(number: int) -> str:
    """Return the partition key of a day, counted from 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def describe(frame: pd.DataFrame, **overrides: Any) -> dict[str, Any]:
    """Return the entry of ``params.yaml`` for a table; its time is ``at``, if it has one."""
    numeric = [name for name in frame.select_dtypes("number").columns if name not in ("id", "outcome")]
    categorical = [name for name in frame.columns if name not in {"id", "at", "outcome", *numeric}]
    columns = {"id": "integer"} | dict.fromkeys(numeric, "float") | dict.fromkeys(categorical, "string")
    if "at" in frame.columns:
        columns["at"] = "date"
    plain = {
        "description": "What is it?",
        "task": "multiclass",
        "key": ["id"],
        "event_time": "at" if "at" in frame.columns else None,
        "columns": columns,
        "target": "outcome",
        "classes": sorted(frame["outcome"].dropna().unique().tolist()),
        "labels": {"outcome": "string"},
        "features": {"numeric": numeric, "categorical": categorical},
        "training": {
            "candidates": ["hist_gradient_boosting"],
            "holdout_days": 3,
            "min_days": 5,
            "max_iterations": 30,
        },
        "promotion": {"confidence": 0.5},
        "monitoring": {"window_days": 3},
    }
    return {**plain, **overrides}


def make_site(root: Path, tables: Mapping[str, tuple[pd.DataFrame, dict[str, Any]]]) -> Runtime:
    """Return a Runtime on a checkout of its own that has these tables, each with its features and suite."""
    checkout, home = root / "checkout", root / "home"
    checkout.mkdir(parents=True)
    for part in _PARTS:
        source = PROJECT_ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
            shutil.copytree(source, checkout / part, ignore=ignored)
        else:
            shutil.copy(source, checkout / part)
    (checkout / "expectations").mkdir()
    datasets = {}
    for name, (frame, entry) in tables.items():
        sql = f"pipelines/features/sql/{name}.sql"
        columns = ", ".join(["row_id", *entry["features"]["numeric"], *entry["features"]["categorical"]])
        (checkout / sql).write_text(f"SELECT {columns} FROM events\n")
        (checkout / "expectations" / f"{name}_raw.yaml").write_text(_SUITE)
        place = home / "sources" / name
        place.mkdir(parents=True)
        frame.to_csv(place / "rows.csv", index=False)
        source = {"kind": "csv", "tables": {"rows": f"{name}/rows.csv"}}
        datasets[name] = {"source": source, **entry, "features": {**entry["features"], "sql": sql}}
    (checkout / "params.yaml").write_text(yaml.safe_dump({"datasets": datasets}, sort_keys=False))
    _commit(checkout)
    places = {"PROJECT": checkout, "HOME": home, "DEVICE": "cpu"}
    settings = load_settings({f"HOLDFAST_{key}": str(value) for key, value in places.items()})
    return Runtime(settings=settings, params=Params.model_validate({"datasets": datasets}))


def _commit(checkout: Path) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "As it is"]):
        subprocess.run(["git", *identity, *command], cwd=checkout, check=True, capture_output=True)
