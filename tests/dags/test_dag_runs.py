"""Whole runs of real Dags with real steps on real flights, without a scheduler."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def _run(dag_id: str, form: dict[str, Any]) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    folder = PROJECT / "dags"
    found = DagBag(dag_folder=str(folder), bundle_path=folder, bundle_name="dags-folder")
    with warnings.catch_warnings():
        # Airflow's own way of running a Dag in one process warns of itself.
        warnings.simplefilter("ignore")
        return found.dags[dag_id].test(run_conf=form, logical_date=None)


def _events(asset: str) -> list[str | None]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetEvent.partition_key).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    with create_session() as session:
        return list(session.scalars(query.where(AssetModel.name == asset).order_by(AssetEvent.id)))


@pytest.fixture(scope="module")
def history(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Load two days in one run; give the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("HOLDFAST_DEVICE", "cpu")
        yield _run("ingest_flights", {"first": "2013-01-05", "last": "2013-01-06"})


def test_a_range_is_published_in_one_run_and_hands_on_its_last_day_only(history: Any) -> None:
    from pipelines.records import ValidationRecord
    from pipelines.runtime import Runtime

    runtime = Runtime.load()
    published = runtime.ledger.history(ValidationRecord, "flights")
    assert str(history.state) == "success"
    assert runtime.lake.partition_keys("flights", "validated") == ["2013-01-05", "2013-01-06"]
    assert [record.outcome for record in published] == ["passed", "passed"]
    assert {record.run_id for record in published} == {f"ingest_flights/{history.run_id}"}
    assert _events("flights/validated") == ["2013-01-06"]


def test_a_run_that_is_not_told_its_night_fails_at_once_and_hands_on_nothing(history: Any) -> None:
    run = _run("score_flights", {})
    tried = {ti.task_id: (str(ti.state), ti.try_number) for ti in run.get_task_instances()}
    assert tried.pop("shadow")[0] == "upstream_failed"
    assert tried == {"score": ("failed", 1), "request_first_training": ("failed", 1)}
    assert str(run.state) == "failed"
    assert _events("flights/predictions") == _events("flights/retrain") == []
