"""Every Dag file loads, is cheap to parse, and makes the Dags it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
VERBS = ("arrive", "ingest", "monitor", "promote", "retrain", "rollback", "score", "train")
HEAVY = ("pandas", "torch", "mlflow", "great_expectations", "evidently", "duckdb", "sklearn", "deltalake")
PARSE_SECONDS = 0.3

# One interpreter imports the SDK once; each file is then parsed in a fork of it, as the Dag processor does.
_MEASURE = """
import json, os, sys, time
import airflow.sdk
for path in sys.argv[2:]:
    if os.fork() == 0:
        before, started = set(sys.modules), time.process_time()
        exec(compile(open(path).read(), path, "exec"), {"__name__": "dag_file", "__doc__": "A Dag."})
        seconds = time.process_time() - started
        heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
        with open(sys.argv[1], "a") as out:
            out.write(json.dumps({"file": path, "seconds": seconds, "modules": heavy}) + "\\n")
        os._exit(0)
    assert os.wait()[1] == 0, path
"""


def _load(params: Path | None = None) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        if params is not None:
            patch.setenv("HOLDFAST_PARAMS", str(params))
        return DagBag(dag_folder=str(PROJECT / "dags"), bundle_path=PROJECT / "dags", bundle_name="dags")


@pytest.fixture(scope="module")
def dags(airflow_database: None) -> dict[str, Any]:
    found = _load()
    assert found.import_errors == {}
    return dict(found.dags)


@pytest.fixture(scope="module")
def human_dags(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the Dags of two datasets, of which one asks a person before a promotion."""
    params = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    params["datasets"]["bikes"]["enabled"] = True
    params["datasets"]["flights"]["promotion"] |= {"approval": "human", "approval_timeout_hours": 5}
    params["datasets"]["bikes"]["promotion"] = {"shadow_nights": 3}
    path = tmp_path_factory.mktemp("human") / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    found = _load(path)
    assert found.import_errors == {}
    return dict(found.dags)


def test_each_enabled_dataset_has_one_dag_of_each_kind(
    dags: dict[str, Any], human_dags: dict[str, Any]
) -> None:
    assert set(dags) == {f"{verb}_flights" for verb in VERBS}
    assert set(human_dags) == {f"{verb}_{dataset}" for verb in VERBS for dataset in ("bikes", "flights")}


@pytest.mark.parametrize(
    ("dag_id", "edges"),
    [
        pytest.param("ingest_flights", {"ingest": {"validate"}, "validate": set()}, id="ingest"),
        pytest.param("arrive_flights", {"ingest": {"validate"}, "validate": set()}, id="arrive"),
        pytest.param(
            "score_flights",
            {"score": {"shadow"}, "shadow": set(), "request_first_training": set()},
            id="score",
        ),
        pytest.param(
            "monitor_flights", {"reconcile": {"monitor"}, "monitor": set(), "watch": set()}, id="monitor"
        ),
        pytest.param("retrain_flights", {"await_verdict": {"request"}, "request": set()}, id="retrain"),
        pytest.param("train_flights", {"train": {"register"}, "register": set()}, id="train"),
        pytest.param("promote_flights", {"gate": {"promote"}, "promote": set()}, id="promote"),
        pytest.param("rollback_flights", {"rollback": {"rescore"}, "rescore": set()}, id="rollback"),
    ],
)
def test_tasks_follow_one_another(dags: dict[str, Any], dag_id: str, edges: dict[str, set[str]]) -> None:
    assert {task.task_id: set(task.downstream_task_ids) for task in dags[dag_id].tasks} == edges


def test_a_person_is_asked_only_where_the_configuration_says_so(
    dags: dict[str, Any], human_dags: dict[str, Any]
) -> None:
    assert "approve" not in dags["promote_flights"].task_ids
    assert "approve" not in human_dags["promote_bikes"].task_ids
    asked = human_dags["promote_flights"]
    assert asked.get_task("gate").downstream_task_ids == {"approve", "promote"}
    assert asked.get_task("approve").downstream_task_ids == {"promote"}
    assert asked.get_task("approve").response_timeout == timedelta(hours=5)
    assert asked.get_task("approve").defaults == ["Reject"]
    assert list(asked.get_task("approve").serialized_params) == ["reason"], "not what the run is started with"


def test_challengers_are_handed_on_from_the_shadow_only_where_the_configuration_says_so(
    dags: dict[str, Any], human_dags: dict[str, Any]
) -> None:
    assert "hand_on_challenger" not in dags["monitor_flights"].task_ids
    waiting = human_dags["retrain_bikes"].get_task("await_verdict").timeout
    assert waiting == timedelta(days=7 + 3 + 1, hours=72).total_seconds(), "as long as a challenger may take"
    handing = human_dags["monitor_bikes"].get_task("hand_on_challenger")
    assert [asset.name for asset in handing.outlets] == ["bikes/challenger"]
    assert handing.upstream_task_ids == handing.downstream_task_ids == set()


@pytest.mark.parametrize(
    ("dag_id", "starts_on", "emits"),
    [
        pytest.param("ingest_flights", set(), {"validate": {"flights/validated"}}, id="ingest"),
        pytest.param("arrive_flights", {"flights/arrived"}, {"validate": {"flights/validated"}}, id="arrive"),
        pytest.param(
            "score_flights",
            {"flights/validated", "flights/champion"},
            {"score": {"flights/predictions"}, "request_first_training": {"flights/retrain"}},
            id="score",
        ),
        pytest.param(
            "monitor_flights", {"flights/predictions"}, {"monitor": {"flights/drift"}}, id="monitor"
        ),
        pytest.param("retrain_flights", {"flights/drift"}, {"request": {"flights/retrain"}}, id="retrain"),
        pytest.param("train_flights", {"flights/retrain"}, {"register": {"flights/challenger"}}, id="train"),
        pytest.param(
            "promote_flights", {"flights/challenger"}, {"promote": {"flights/champion"}}, id="promote"
        ),
        pytest.param("rollback_flights", set(), {"rescore": {"flights/champion"}}, id="rollback"),
    ],
)
def test_assets_tie_the_dags_together(
    dags: dict[str, Any], dag_id: str, starts_on: set[str], emits: dict[str, set[str]]
) -> None:
    dag = dags[dag_id]
    condition = getattr(dag.timetable, "asset_condition", None)
    watched = {asset.name for asset in getattr(condition, "objects", [condition]) if asset is not None}
    outlets = {task.task_id: {asset.name for asset in task.outlets} for task in dag.tasks if task.outlets}
    assert watched == starts_on
    assert outlets == emits


def test_a_night_is_scored_on_either_event(dags: dict[str, Any]) -> None:
    from airflow.sdk import AssetAny

    assert isinstance(dags["score_flights"].timetable.asset_condition, AssetAny)


@pytest.mark.parametrize("verb", VERBS)
def test_every_dag_says_whose_it_is_and_what_it_does(dags: dict[str, Any], verb: str) -> None:
    dag = dags[f"{verb}_flights"]
    assert dag.tags == {"flights", "holdfast"}
    assert dag.owner == "ml-platform"
    assert not dag.catchup
    assert all(f"\n**{part}" in dag.doc_md for part in ("Starts**", "By hand:**", "When it ", "Undo:**"))
    assert "{dataset}" not in dag.doc_md
    assert "flights" in dag.description
    assert {(task.retries, task.retry_delay) for task in dag.tasks} == {(2, timedelta(seconds=10))}
    assert all(task.execution_timeout for task in dag.tasks)


@pytest.mark.parametrize("verb", ["retrain", "train", "promote"])
def test_a_run_that_fails_frees_the_way_for_the_next_retraining(dags: dict[str, Any], verb: str) -> None:
    from holdfast_airflow.retrainings import retraining_failed

    assert retraining_failed in dags[f"{verb}_flights"].on_failure_callback


def test_scoring_is_sent_to_the_gpu_queue(dags: dict[str, Any]) -> None:
    assert dags["score_flights"].get_task("score").queue == "gpu"


@pytest.mark.parametrize(
    ("dag_id", "answers"),
    [
        pytest.param("ingest_flights", {}, id="nothing-for-a-scheduled-night"),
        pytest.param("ingest_flights", {"first": "2013-01-01", "last": "2013-03-31"}, id="range"),
        pytest.param("train_flights", {"night": "2013-04-01", "reason": "new columns"}, id="train"),
        pytest.param("promote_flights", {"model_version": "3"}, id="promote"),
        pytest.param("rollback_flights", {"reason": "wrong in July"}, id="rollback"),
        pytest.param("rollback_flights", {"reason": "wrong", "rescore": "2013-07-04"}, id="rescore"),
    ],
)
def test_forms_take_good_answers(dags: dict[str, Any], dag_id: str, answers: dict[str, str]) -> None:
    params = _filled(dags[dag_id], answers)
    assert {key: params[key] for key in answers} == answers


@pytest.mark.parametrize(
    ("dag_id", "answers"),
    [
        pytest.param("ingest_flights", {"first": "4 July"}, id="not-a-date"),
        pytest.param("ingest_flights", {"first": "2013-02-30"}, id="no-such-date"),
        pytest.param("train_flights", {"night": 20130401}, id="not-a-text"),
        pytest.param("promote_flights", {"model_version": "champion"}, id="not-a-version"),
        pytest.param("rollback_flights", {}, id="no-reason"),
        pytest.param("rollback_flights", {"reason": "x"}, id="hardly-a-reason"),
    ],
)
def test_forms_refuse_bad_answers(dags: dict[str, Any], dag_id: str, answers: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        _filled(dags[dag_id], answers)


def _filled(dag: Any, answers: dict[str, Any]) -> dict[str, Any]:
    import copy

    params = copy.deepcopy(dag.params)
    params.update(answers)
    filled: dict[str, Any] = params.validate()
    return filled


def test_a_broken_configuration_is_one_clear_sentence(airflow_database: None, tmp_path: Path) -> None:
    broken = tmp_path / "params.yaml"
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    broken.write_text(text.replace("label_delay_days: 1", "label_delay_day: 1", 1), encoding="utf-8")
    found = _load(broken)
    assert not found.dags
    assert len(found.import_errors) == len(VERBS)
    for message in found.import_errors.values():
        assert "Did you mean `label_delay_days`?" in message
        assert "pydantic" not in message
        assert len(message.splitlines()) < 12


def test_parsing_a_file_is_cheap_and_imports_nothing_heavy(tmp_path: Path) -> None:
    out = tmp_path / "measured.jsonl"
    files = sorted(str(path) for path in (PROJECT / "dags").glob("*.py"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])}
    subprocess.run([sys.executable, "-c", _MEASURE, str(out), *files], check=True, env=environment)
    measured = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [m["file"] for m in measured] == files
    assert {m["file"]: m["seconds"] for m in measured if m["seconds"] > PARSE_SECONDS} == {}
    assert {m["file"]: set(m["modules"]) & set(HEAVY) for m in measured} == {name: set() for name in files}
