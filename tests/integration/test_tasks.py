"""Tables of every task, from their file to a monitored night, by configuration alone."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.compute as pc
import pytest
from task_tables import day, describe, make_site, spread_over_days, table

from pipelines.records import DriftRecord, GateRecord, PerformanceRecord, TrainedModel
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.ingest import ingest
from pipelines.steps.monitor import monitor
from pipelines.steps.promote import promote
from pipelines.steps.reconcile import reconcile
from pipelines.steps.register import register
from pipelines.steps.score import score
from pipelines.steps.train import train
from pipelines.steps.validate import validate

N_DAYS = 9


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a Runtime on three tables; some labels are none of the classes, or are missing."""
    iris = spread_over_days(table("iris"), N_DAYS)
    iris.loc[[3, 140], "outcome"] = ["tulip", None]
    cancer = spread_over_days(table("cancer"), N_DAYS)
    wine = table("wine")
    wine["outcome"] = wine["outcome"].str.removeprefix("class_").astype(int)
    tables = {
        "iris": (iris, describe(iris, classes=["setosa", "versicolor", "virginica"])),
        "cancer": (cancer, describe(cancer, task="binary", classes=["benign", "malignant"])),
        "wine": (
            wine,
            describe(
                wine,
                key=[],
                classes=[0, 1, 2],
                labels={"outcome": "integer"},
                training={"split": "rows", "max_iterations": 20},
            ),
        ),
    }
    return make_site(tmp_path_factory.mktemp("tasks"), tables)


def _history(dataset: str, first: int, last: int, runtime: Runtime) -> None:
    for number in range(first, last + 1):
        ingest(dataset, day(number), runtime=runtime)
        assert validate(dataset, day(number), runtime=runtime).outcome != "refused"


def _champion(dataset: str, night: str, runtime: Runtime) -> tuple[TrainedModel, GateRecord]:
    record = register(train(dataset, night, runtime=runtime, reason="first"), runtime=runtime)
    evidence = gate(dataset, record.model_version, runtime=runtime)
    decision = promote(dataset, record.model_version, runtime=runtime, actor="test")
    assert decision.is_promoted, [result for result in evidence.gates if not result.is_passed]
    return record.trained, evidence


def _night(dataset: str, night: str, runtime: Runtime) -> tuple[DriftRecord, PerformanceRecord | None]:
    assert score(dataset, night, runtime=runtime).n_rows > 0
    performance = reconcile(dataset, night, runtime=runtime)
    verdict = monitor(dataset, night, runtime=runtime)
    folder = runtime.settings.reports / dataset / night
    assert {"index.html", "drift.html", "drift.json"} <= {path.name for path in folder.iterdir()}
    return verdict, performance


def _page(runtime: Runtime, dataset: str, night: str) -> Path:
    return runtime.settings.reports / dataset / night / "drift.json"


def test_a_table_of_three_classes_is_learned_scored_and_watched(site: Runtime) -> None:
    _history("iris", 0, N_DAYS - 1, site)
    trained, evidence = _champion("iris", day(N_DAYS - 1), site)
    assert evidence.metric == "log_loss"
    assert trained.metrics["log_loss"] < trained.metrics["baseline_log_loss"]
    assert trained.metrics["accuracy"] > 0.8
    assert trained.metrics["n_strange_labels"] == 1
    assert trained.metrics["parity_error"] < 1e-6

    score("iris", day(N_DAYS - 2), runtime=site)
    verdict, performance = _night("iris", day(N_DAYS - 1), site)

    predictions = site.lake.read("iris", "predictions", partitions=[day(N_DAYS - 1)])
    assert set(predictions["prediction"].to_pylist()) <= {"setosa", "versicolor", "virginica"}
    total = sum(predictions[f"probability_{number}"].to_numpy() for number in range(3))
    assert total == pytest.approx(1.0)
    assert performance is not None
    assert performance.metrics["accuracy"] > 0.8
    assert verdict.prediction is not None
    assert verdict.prediction.method == "jensenshannon"
    assert verdict.label is not None
    assert "error" not in json.loads(_page(site, "iris", day(N_DAYS - 1)).read_text())["evidently"]["drift"]


def test_a_binary_table_with_named_classes_predicts_the_second_one(site: Runtime) -> None:
    _history("cancer", 0, N_DAYS - 1, site)
    trained, evidence = _champion("cancer", day(N_DAYS - 1), site)
    assert evidence.metric == "auc"
    assert trained.metrics["auc"] > 0.9

    score("cancer", day(N_DAYS - 2), runtime=site)
    verdict, performance = _night("cancer", day(N_DAYS - 1), site)

    key = [day(N_DAYS - 2)]
    labels = site.lake.read("cancer", "labels", partitions=key)
    scored = site.lake.read("cancer", "predictions", partitions=key)
    happened = labels["outcome"].take(pc.index_in(scored["row_id"], labels["row_id"])).to_numpy()
    chances = scored["prediction"].to_numpy()
    assert chances[happened == "malignant"].mean() > chances[happened == "benign"].mean() + 0.5
    assert performance is not None
    assert performance.metrics["auc"] > 0.9
    assert verdict.concept is not None
    assert verdict.concept.metric == "auc"


def test_a_table_without_time_needs_one_partition(site: Runtime) -> None:
    _history("wine", 0, 1, site)  # the labels of the first one come with the second
    trained, evidence = _champion("wine", day(1), site)
    assert trained.n_partitions == 1
    assert trained.metrics["accuracy"] > 0.8
    assert 0.1 < trained.metrics["n"] / 178 < 0.3
    # Training and gate hold out the very same rows.
    assert evidence.challenger_value == pytest.approx(trained.metrics["log_loss"])

    verdict, _ = _night("wine", day(1), site)

    assert verdict.kinds == ()
    assert "says nothing about how days differ" in verdict.notes[0]
    assert verdict.notes[0] in (site.settings.reports / "wine" / day(1) / "index.html").read_text()
