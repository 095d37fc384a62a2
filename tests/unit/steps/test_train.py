"""The stages of a training, one after another in one process, and what `train` refuses to start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.bundle.files import bundle_digest, read_bundle
from pipelines.config import PROJECT_ROOT, DatasetConfig, Params, TrainingRun, load_params, load_settings
from pipelines.errors import ConfigError, IntegrityError, NotReadyError
from pipelines.monitoring.reference import read_reference
from pipelines.records import Evaluation, Selection, Speed, ValidationRecord, partition_range
from pipelines.runtime import Runtime
from pipelines.steps.stages import STAGES
from pipelines.steps.train import train
from pipelines.training.planning import plan_snapshot
from pipelines.validation.reference import read_profile

RuntimeMaker = Callable[..., Runtime]

DAYS = partition_range("2013-01-01", "2013-01-16")
HOLDOUT = DAYS[-3:]
ROWS_A_DAY = 40
SMALL: dict[str, Any] = {
    "datasets": {
        "flights": {
            "training": {"holdout_days": 3, "min_days": 10, "max_iterations": 8, "max_epochs": 1},
            "monitoring": {"reference_rows": 160},
            "evaluation": {"slices": ["origin", "flight"], "explained_rows": 5, "refits": 4},
        }
    }
}


def _events(key: str, config: DatasetConfig) -> pa.Table:
    """Return a day of flights, with a null in every column but the key's."""
    random = np.random.default_rng(int(key.replace("-", "")))
    start = datetime.fromisoformat(f"{key}T06:00:00+00:00")
    stamps = pa.array([start + timedelta(minutes=n) for n in range(ROWS_A_DAY)], pa.timestamp("us", tz="UTC"))
    missing = np.arange(ROWS_A_DAY) == 7
    makers = {
        "string": lambda: pa.array(random.choice(["AA", "UA", "EWR"], ROWS_A_DAY), pa.string(), mask=missing),
        "integer": lambda: pa.array(random.integers(0, 1_400, ROWS_A_DAY), pa.int64(), mask=missing),
        "float": lambda: pa.array(random.normal(size=ROWS_A_DAY), pa.float64(), mask=missing),
        "timestamp": lambda: stamps,
    }
    columns = {name: makers[kind]() for name, kind in config.columns.items()}
    return pa.table({"row_id": _row_ids(key), "event_time": stamps, **columns})


def _labels(key: str, events: pa.Table) -> pa.Table:
    """Return delays that the hour of departure decides, with some noise."""
    random = np.random.default_rng(int(key.replace("-", "")) + 1)
    minute = pc.fill_null(events["departure_minute"], 0).to_numpy()
    late = (random.random(ROWS_A_DAY) < np.where(minute > 700, 0.9, 0.1)).astype(np.int64)
    return pa.table({"row_id": _row_ids(key), "is_late": late, "arrival_delay": late * 30.0})


def _row_ids(key: str) -> list[str]:
    return [f"{key}|{row:03d}" for row in range(ROWS_A_DAY)]


def _fill(runtime: Runtime, *, labels_of: Callable[[str, pa.Table], pa.Table] = _labels) -> None:
    """Publish all days."""
    config = runtime.dataset("flights")
    events = {key: _events(key, config) for key in DAYS}
    labels = {key: labels_of(key, rows) for key, rows in events.items()}
    runtime.lake.replace_many("flights", "labels", labels)
    for version in runtime.lake.replace_many("flights", "validated", events):
        runtime.ledger.record(
            ValidationRecord(
                dataset="flights",
                partition_key=version.partition_key,
                raw_digest="raw",
                suite_digest="suite",
                outcome="passed",
                n_in=ROWS_A_DAY,
                n_published=ROWS_A_DAY,
                n_quarantined=0,
                validated_digest=version.digest,
            )
        )


def _prepare(runtime: Runtime, project: Path, features_suite: str = "") -> Path:
    """Fill in a project's inputs and params, as a training does in its workspace."""
    config = runtime.dataset("flights")
    snapshot = plan_snapshot(
        "flights", DAYS[-1], first=None, config=config, lake=runtime.lake, ledger=runtime.ledger
    )
    run = TrainingRun(
        dataset="flights",
        first_partition=DAYS[0],
        last_partition=DAYS[-1],
        holdout_days=3,
        snapshot_digest=snapshot.digest,
        seed=1,
    )
    inputs = project / "workspace" / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "snapshot.json").write_text(snapshot.model_dump_json())
    shutil.copy(PROJECT_ROOT / config.features.sql, inputs / "features.sql")
    (inputs / "features_suite.yaml").write_text(features_suite)
    params = runtime.params.model_copy(update={"run": run}).model_dump(mode="json")
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    return project


def _project(
    root: Path, *, labels_of: Callable[[str, pa.Table], pa.Table] = _labels, features_suite: str = ""
) -> Path:
    """Return a project that is ready for the first stage, with a lake of its own."""
    settings = load_settings({"HOLDFAST_HOME": str(root / "home")})
    shipped = load_params(PROJECT_ROOT / "params.yaml").model_dump(mode="json")
    for section, values in SMALL["datasets"]["flights"].items():
        shipped["datasets"]["flights"][section] |= values
    runtime = Runtime(settings=settings, params=Params.model_validate(shipped))
    _fill(runtime, labels_of=labels_of)
    return _prepare(runtime, root / "project", features_suite)


def _run_all(project: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(project.parent / "home"))
        for stage in STAGES.values():
            stage(project)
    return project / "workspace" / "outputs"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what four stages wrote."""
    return _run_all(_project(tmp_path_factory.mktemp("training")))


def test_four_stages_make_a_measured_model_that_learned_something(outputs: Path) -> None:
    metrics = json.loads((outputs / "metrics.json").read_text())
    assert metrics["candidate"] in ("hist_gradient_boosting", "embedding_network", "linear_model")
    assert set(metrics["validation"]) == {"hist_gradient_boosting", "embedding_network", "linear_model"}
    assert metrics["holdout"]["n"] == 3 * ROWS_A_DAY
    assert metrics["holdout"]["auc"] > 0.75
    assert metrics["baseline"]["auc"] == 0.5
    assert metrics["parity_error"] < 1e-6
    assert metrics["n_look_ahead_columns"] == metrics["n_withheld_rows"] == 0
    best = max(metrics["validation"], key=lambda name: metrics["validation"][name]["auc"])
    assert metrics["candidate"] == best == read_bundle(outputs / "bundle").description.candidate


def test_what_was_measured_is_of_the_very_model_and_of_landed_columns_too(outputs: Path) -> None:
    evaluation = Evaluation.model_validate_json((outputs / "evaluation.json").read_bytes())
    metrics = json.loads((outputs / "metrics.json").read_text())

    assert evaluation.bundle_digest == bundle_digest(outputs / "bundle")
    assert evaluation.metrics["auc"].value == metrics["holdout"]["auc"]
    assert metrics["evaluation"]["auc_lower"] == evaluation.metrics["auc"].lower
    assert (evaluation.first_day, evaluation.last_day) == (HOLDOUT[0], HOLDOUT[-1])
    # `flight` lands, and is no feature: it is found, though 40 rows a group are too few.
    for column in ("origin", "flight"):
        assert evaluation.not_measured[f"slices.{column}"] == "fewer than two of its groups have 50 rows"
    assert all((outputs / path).is_file() for path in evaluation.plots.values())
    noise = evaluation.retraining_noise
    assert noise is not None
    assert len(noise.values) == 4
    assert 0.6 < min(noise.values) < max(noise.values) < 1
    assert metrics["evaluation"]["retraining_noise_ratio"] == noise.ratio > 0
    assert Speed.model_validate_json((outputs / "speed.json").read_bytes()).device == "cpu"


def test_reference_holds_examples_of_every_day_with_predictions_and_what_happened(
    outputs: Path, runtime: Runtime
) -> None:
    reference = pq.read_table(outputs / "reference.parquet")
    config = runtime.dataset("flights")
    assert reference.column_names == [
        "row_id",
        "partition_key",
        "event_time",
        *config.features.columns,
        config.target,
        "is_holdout",
        "prediction",
    ]
    assert reference.num_rows == 160
    assert pc.count_distinct(reference["partition_key"]).as_py() == len(DAYS)
    held_out = reference.filter(reference["is_holdout"])
    assert pc.unique(held_out["partition_key"]).to_pylist() == HOLDOUT
    assert reference["prediction"].null_count == 0
    assert pc.all(
        pc.and_(pc.greater(reference["prediction"], 0), pc.less(reference["prediction"], 1))
    ).as_py()


def test_the_sketch_counts_every_row_of_every_day_and_what_the_holdout_was_predicted(
    outputs: Path, runtime: Runtime
) -> None:
    config = runtime.dataset("flights")
    reference = read_reference(outputs / "reference.parquet", config, sketch=outputs / "reference.sketch")
    assert reference.days.grid.columns == (
        *config.features.numeric,
        config.target,
        *config.features.categorical,
    )
    assert reference.holdout_days.grid.columns == ("prediction", config.target)
    # The first days are those that history features look back on.
    assert set(reference.days.days) == set(pc.unique(reference.table["partition_key"]).to_pylist())
    assert set(reference.days.day_rows().tolist()) == {ROWS_A_DAY}
    assert reference.holdout_days.days == tuple(HOLDOUT)
    assert reference.holdout_days.total.numeric["prediction"].n_values == len(HOLDOUT) * ROWS_A_DAY
    made = read_reference(outputs / "reference.parquet", config)
    assert made.days.total.n_rows == reference.table.num_rows < reference.days.total.n_rows


def test_the_profile_says_what_was_seen_of_every_column_at_every_stage(
    outputs: Path, runtime: Runtime
) -> None:
    profile, config = read_profile(outputs / "reference_profile.json"), runtime.dataset("flights")
    assert {stage: set(seen.columns) for stage, seen in profile.stages.items()} == {
        "raw": set(config.columns),
        "features": set(config.features.columns),
        "labels": set(config.labels),
        "predictions": {"prediction"},
    }
    n_days = {stage: seen.n_days for stage, seen in profile.stages.items()}
    assert n_days == {"raw": 16, "features": 16, "labels": 16, "predictions": len(HOLDOUT)}
    assert profile.value("raw", "origin", "levels") == profile.value("features", "origin", "levels")
    assert 0 < profile.value("predictions", "prediction", "day_mean_min") < 1


def test_rows_whose_features_a_night_would_not_score_are_not_learned_from(tmp_path: Path) -> None:
    expectation = {
        "type": "expect_column_values_to_be_between",
        "severity": "warning",
        "column": "departure_minute",
        "max_value": 700,
    }
    only_told = {**expectation, "severity": "info", "max_value": 0}
    suite = yaml.safe_dump({"expectations": [expectation, only_told]})
    project = _project(tmp_path, features_suite=suite)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(project.parent / "home"))
        STAGES["snapshot"](project)
        STAGES["features"](project)
    workspace = project / "workspace"
    events = pq.read_table(workspace / "snapshot" / "events")
    features = pq.read_table(workspace / "features")
    n_late = pc.sum(pc.greater(events["departure_minute"], 700)).as_py()
    assert n_late > 0
    assert features.num_rows == events.num_rows - n_late
    assert pc.max(features["departure_minute"]).as_py() <= 700
    assert json.loads((workspace / "withheld.json").read_text()) == {"n_rows": n_late}


def test_plots_say_how_well_calibrated_it_is_and_how_each_day_went(outputs: Path) -> None:
    plots = outputs / "plots"

    assert len((plots / "calibration.csv").read_text().splitlines()) == 11
    days = [line.split(",")[0].strip('"') for line in (plots / "by_day.csv").read_text().splitlines()[1:]]
    assert days == HOLDOUT


def test_what_happens_in_the_holdout_has_no_part_in_the_model(outputs: Path, tmp_path: Path) -> None:
    def otherwise(key: str, events: pa.Table) -> pa.Table:
        labels = _labels(key, events)
        if key not in HOLDOUT:
            return labels
        flipped = pc.subtract(1, labels["is_late"])
        return labels.set_column(labels.column_names.index("is_late"), "is_late", flipped)

    other = _run_all(_project(tmp_path, labels_of=otherwise))

    weights = "bundle/weights.safetensors"
    assert (outputs / weights).read_bytes() == (other / weights).read_bytes()
    assert (outputs / "selection.json").read_text() == (other / "selection.json").read_text()
    assert json.loads((outputs / "metrics.json").read_text())["holdout"]["auc"] > 0.75
    assert json.loads((other / "metrics.json").read_text())["holdout"]["auc"] < 0.25


def test_the_same_inputs_give_the_same_bytes(outputs: Path, tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    first, second = contents(outputs), contents(_run_all(_project(tmp_path)))
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == ["speed.json"]


def test_a_search_is_told_with_all_its_trials_and_goes_on_where_it_was_kept(
    outputs: Path, tmp_path: Path
) -> None:
    shutil.copytree(outputs.parent.parent, tmp_path / "project")
    project, home = tmp_path / "project", tmp_path / "home"
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["datasets"]["flights"]["training"]["search"] = {"trials": 4}
    params["run"]["training_key"] = "key"
    (project / "params.yaml").write_text(yaml.safe_dump(params))

    def run(*stages: str) -> bytes:
        shutil.rmtree(project / "workspace" / "outputs")  # as DVC does before a stage
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOLDFAST_HOME", str(home))
            for name in stages:
                STAGES[name](project)
        return (project / "workspace" / "outputs" / "selection.json").read_bytes()

    first = run("train", "evaluate")
    selection = json.loads(first)
    assert [trial["number"] for trial in selection["trials"]] == [0, 1, 2, 3]
    record = Selection.model_validate(selection)
    assert record.search is not None
    assert (record.search.seed, record.search.budget.trials) == (1, 4)
    plain = json.loads((outputs / "selection.json").read_text())
    assert Selection.model_validate(plain).search is None
    defaults = {trial["candidate"]: trial["metrics"] for trial in selection["trials"][:3]}
    assert defaults == plain["validation"]
    metrics = json.loads((project / "workspace" / "outputs" / "metrics.json").read_text())
    assert metrics["search"]["n_trials"] == 4
    assert "trials" not in metrics, "a table of all trials is none for `dvc metrics diff`"
    assert (home / "studies" / "key.json").is_file()
    assert run("train") == first


def test_a_snapshot_that_params_do_not_name_is_refused(tmp_path: Path) -> None:
    project = _project(tmp_path)
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["run"]["snapshot_digest"] = "0" * 64
    (project / "params.yaml").write_text(yaml.safe_dump(params))

    with pytest.raises(IntegrityError, match=r"is not the snapshot that `run\.snapshot_digest`"):
        STAGES["snapshot"](project)


def test_a_training_that_must_wait_says_what_for_and_is_on_record(make_runtime: RuntimeMaker) -> None:
    runtime = make_runtime()
    _fill(runtime)
    runtime.ledger.open_retraining("flights", "2013-01-17", status="requested", reason="drift")

    with pytest.raises(NotReadyError, match=r"flights has 16 published days .* needs 60"):
        train("flights", "2013-01-17", runtime=runtime)

    retraining = runtime.ledger.retraining("flights", "2013-01-17")
    assert retraining is not None
    assert retraining.status == "training"


def test_a_project_without_git_is_refused_in_one_sentence(make_runtime: RuntimeMaker, tmp_path: Path) -> None:
    runtime = make_runtime(SMALL)
    _fill(runtime)

    with pytest.raises(ConfigError, match="is not a git repository"):
        train("flights", "2013-01-17", runtime=_without_git(runtime, tmp_path))

    assert not (runtime.settings.home / "mlflow").exists()


def test_days_that_changed_after_their_validation_are_named_in_the_log(
    make_runtime: RuntimeMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = make_runtime(SMALL)
    _fill(runtime)
    runtime.lake.replace("flights", "validated", DAYS[2], _events(DAYS[3], runtime.dataset("flights")))

    with pytest.raises(ConfigError):
        train("flights", "2013-01-17", runtime=_without_git(runtime, tmp_path))

    assert f"1 days of flights are left out, from {DAYS[2]}" in caplog.text


def _without_git(runtime: Runtime, folder: Path) -> Runtime:
    settings = runtime.settings.model_copy(update={"project": folder})
    return Runtime(settings=settings, params=runtime.params)
