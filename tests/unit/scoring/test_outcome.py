"""Predictions follow the classes that params.yaml names now, by name and not by place."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import sample_models

from pipelines.bundle.files import read_bundle, write_bundle
from pipelines.config import PROJECT_ROOT, DatasetConfig, Task
from pipelines.errors import ConfigError
from pipelines.features.encoding import encode
from pipelines.registry.pyfunc import save_pyfunc
from pipelines.scoring.model import LoadedModel
from pipelines.scoring.outcome import predict, with_predictions
from pipelines.scoring.process import ModelProcess
from pipelines.scoring.scorer import Scorer

ROWS = sample_models.rows(60, 9, task="multiclass")


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scorer]:
    """Return a scorer of each task; the binary one knows its classes."""
    root = tmp_path_factory.mktemp("outcomes")
    opened = {}
    for task in sample_models.TASKS:
        candidate = sample_models.fitted("hist_gradient_boosting", task)
        classes = ("no", "yes") if task == "binary" else candidate.description.classes
        description = candidate.description.model_copy(update={"classes": classes})
        write_bundle(root / task, description, candidate.tensors, sample_models.golden(candidate))
        opened[task] = Scorer.open(root / task, "cpu")
    return opened


def _config(task: Task, *classes: str) -> DatasetConfig:
    return sample_models.config(task).model_copy(update={"classes": classes})


def test_classes_are_matched_by_name(scorers: dict[str, Scorer]) -> None:
    plain = scorers["multiclass"].predict(ROWS)
    low, middle, high, odd, absent = plain.T

    found = predict(scorers["multiclass"], ROWS, _config("multiclass", "high", "new", "low", "<b>&"))

    total = high + low + odd
    expected = np.column_stack([high / total, np.zeros(60), low / total, odd / total])
    np.testing.assert_allclose(found, expected)
    assert middle.max() > 0.5
    assert absent.max() < 0.1
    same = predict(scorers["multiclass"], ROWS, _config("multiclass", *sample_models.CLASSES))
    np.testing.assert_array_equal(same, plain)


def test_a_binary_model_turns_round_with_its_classes(scorers: dict[str, Scorer]) -> None:
    chance = predict(scorers["binary"], ROWS, _config("binary", "no", "yes"))

    np.testing.assert_allclose(predict(scorers["binary"], ROWS, _config("binary", "yes", "no")), 1 - chance)


@pytest.mark.parametrize(
    ("task", "config"),
    [
        pytest.param("binary", _config("binary", "no", "maybe"), id="another-class"),
        pytest.param("binary", _config("regression"), id="another-task"),
        pytest.param("multiclass", _config("multiclass", "x", "y", "z"), id="all-new-classes"),
    ],
)
def test_a_model_of_something_else_is_refused(
    scorers: dict[str, Scorer], task: str, config: DatasetConfig
) -> None:
    with pytest.raises(ConfigError, match=f"The model predicts a {task} target.* train and promote"):
        predict(scorers[task], ROWS, config)


def test_the_columns_of_predictions_follow_the_task() -> None:
    rows = pa.table({"row_id": ["a", "b"]})

    chances = with_predictions(
        rows, np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]]), _config("multiclass", *"xyz")
    )
    value = with_predictions(rows, np.array([1.5, 2.5]), _config("regression"))

    assert chances.to_pylist()[0] == {
        "row_id": "a",
        "prediction": "y",
        "probability_0": 0.1,
        "probability_1": 0.7,
        "probability_2": 0.2,
    }
    assert value.to_pylist()[1] == {"row_id": "b", "prediction": 2.5}


def test_mlflow_gets_the_likeliest_class_and_every_probability(tmp_path: Path) -> None:
    candidate = sample_models.fitted("embedding_network", "multiclass")
    write_bundle(
        tmp_path / "bundle", candidate.description, candidate.tensors, sample_models.golden(candidate)
    )
    save_pyfunc(tmp_path / "bundle", PROJECT_ROOT / "pipelines/scoring/pyfunc_model.py", tmp_path / "model")

    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    found = model.predict(ROWS.drop_columns(["outcome"]).to_pandas())

    chances = candidate.predict(ROWS)
    names = [output.name for output in model.metadata.signature.outputs.inputs]
    assert list(found.columns) == names == ["prediction", *(f"probability_{n}" for n in range(5))]
    np.testing.assert_allclose(found[names[1:]].to_numpy(), chances, atol=1e-9)
    assert found["prediction"].tolist() == [sample_models.CLASSES[n] for n in chances.argmax(axis=1)]


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_process_of_its_own_gives_every_probability(name: str, tmp_path: Path) -> None:
    bundle = read_bundle(sample_models.write(tmp_path / "bundle", name, "multiclass"))
    encoded = encode(ROWS, bundle.description.encoding)
    process = ModelProcess(tmp_path / "bundle", bundle, "cpu")
    try:
        found = process.predict(encoded)
    finally:
        process.close()
    np.testing.assert_array_equal(found, LoadedModel(bundle, "cpu").predict(encoded))
