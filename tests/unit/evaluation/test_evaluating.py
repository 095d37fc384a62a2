"""A model measured in every way: complete, repeatable, and plain about what could not be measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scored_rows

from pipelines.evaluation.evaluating import Subject, evaluate_holdout
from pipelines.evaluation.speed import measure_speed, write_speed
from pipelines.features.encoding import fit_encoding
from pipelines.records import Evaluation, Speed

TASKS = ["binary", "multiclass", "regression"]


def _evaluate(task: str, rows: pa.Table, *, n_seen: int, **changes: object) -> Evaluation:
    config, predict = scored_rows.config_of(task, **changes), scored_rows.model_of(task)
    seen, held = rows.slice(0, n_seen), rows.slice(n_seen)
    subject = Subject("toys", "oracle", "0" * 64, fit_encoding(seen, config.features), predict)
    return evaluate_holdout(subject, scored_rows.holdout_of(held, predict(held), config), seen)


@pytest.fixture(scope="module", params=TASKS)
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    rows = scored_rows.rows_of(request.param)
    settings = {"slices": ["kind"], "protected": ["site"], "explained_rows": 5}
    return _evaluate(request.param, rows, n_seen=600, evaluation=settings)


def test_everything_is_measured_of_every_task(evaluation: Evaluation) -> None:
    assert evaluation.not_measured == {}
    assert evaluation.metrics[evaluation.metric].value is not None
    assert evaluation.calibration is not None
    assert evaluation.importance is not None
    assert evaluation.label_noise is not None
    assert {part.kind for part in evaluation.slices} == {"declared", "protected", "discovered"}
    assert {gap.column for gap in evaluation.fairness} == {"site"}
    assert {result.kind for result in evaluation.stress} == {"noise", "missing", "extreme", "unseen_levels"}
    kinds = [naive.kind for naive in evaluation.baselines]
    assert kinds[:3] == ["prior", "last_day", "same_group_last_time"]
    assert all((naive.gain.value or 0) > 0 for naive in evaluation.baselines)
    assert (evaluation.n_days, evaluation.n_units, evaluation.unit) == (10, 10, "days")


def test_it_comes_back_from_json_as_it_was(evaluation: Evaluation) -> None:
    assert Evaluation.model_validate_json(evaluation.model_dump_json()) == evaluation


def test_the_same_model_and_rows_give_the_same_bytes() -> None:
    rows = scored_rows.rows_of("binary", n_days=8)

    first, second = (_evaluate("binary", rows, n_seen=240).model_dump_json() for _ in range(2))

    assert first == second


def test_what_could_not_be_measured_says_why() -> None:
    rows = scored_rows.rows_of("binary", n_days=2, rows_a_day=30)
    rows = rows.set_column(rows.column_names.index("y"), "y", [np.repeat([0.0, 1.0, 0.0], [29, 1, 30])])

    found = _evaluate("binary", rows, n_seen=30, evaluation={"slices": ["kind"], "explained_rows": 0})

    assert found.metrics["auc"].value is None
    assert set(found.not_measured) == {
        "fairness",
        "importance",
        "intervals",
        "label_noise",
        "metrics",
        "slices.discovered",
        "slices.kind",
    }
    assert "one class only" in found.not_measured["metrics"]
    assert "explained_rows" in found.not_measured["importance"]


def test_the_luck_of_days_makes_intervals_wider_than_that_of_rows_would() -> None:
    rows = scored_rows.rows_of("regression", n_days=14)
    config, predict = scored_rows.config_of("regression"), scored_rows.model_of("regression")
    by_day = _evaluate("regression", rows, n_seen=60).metrics["rmse"]
    held = rows.slice(60)
    numbered = held.set_column(
        held.column_names.index("partition_key"), "partition_key", pa.array([str(n % 13) for n in range(780)])
    )
    days = numbered["partition_key"].to_numpy(zero_copy_only=False)
    assert by_day.lower is not None
    assert by_day.upper is not None
    from pipelines.evaluation.intervals import primary_interval

    target = held[config.target].to_numpy()
    mixed = primary_interval(target, [predict(held)], np.unique(days, return_inverse=True)[1], "regression")

    assert mixed.lower is not None
    assert mixed.upper is not None
    assert by_day.upper - by_day.lower > mixed.upper - mixed.lower


def test_speed_is_that_of_the_scorer(tmp_path: Path) -> None:
    rows = scored_rows.rows_of("binary", n_days=2)

    found = measure_speed(rows, scored_rows.model_of("binary"), open_seconds=0.5, device="cpu")
    write_speed(found, tmp_path / "speed.json")

    assert found is not None
    assert found.n_rows == 20_000
    assert 0 < found.row_seconds <= found.row_seconds_p95
    assert Speed.model_validate_json((tmp_path / "speed.json").read_bytes()) == found


def test_without_rows_there_is_no_speed_and_no_file(tmp_path: Path) -> None:
    rows = scored_rows.rows_of("binary", n_days=1).slice(0, 0)

    write_speed(
        measure_speed(rows, scored_rows.model_of("binary"), open_seconds=0.5, device="cpu"),
        tmp_path / "s.json",
    )

    assert not (tmp_path / "s.json").exists()
