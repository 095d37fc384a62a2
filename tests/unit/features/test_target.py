"""One label means one class, whatever type the column has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.features.target import class_names, describe_strangers, encode_target, likeliest_classes


def _config(task: str = "binary", *classes: str) -> DatasetConfig:
    return DatasetConfig.model_construct(task=task, target="y", classes=classes)


@pytest.mark.parametrize(
    ("labels", "config", "values", "strangers"),
    [
        pytest.param(["no", "yes", None], _config("binary", "no", "yes"), [0, 1, None], {}, id="words"),
        pytest.param([">50K", "<=50K"], _config("binary", "<=50K", ">50K"), [1, 0], {}, id="signs"),
        pytest.param([2, 1, 3], _config("binary", "1", "2"), [1, 0, None], {"3": 1}, id="numbers"),
        pytest.param([0, 1, None], _config(), [0, 1, None], {}, id="plain"),
        pytest.param([True, False, None], _config(), [1, 0, None], {}, id="plain-booleans"),
        pytest.param([True, False], _config("binary", "yes", "no"), [0, 1], {}, id="named-booleans"),
        pytest.param([1.0, 2.5], _config("binary", "1", "2"), [0, None], {"2.5": 1}, id="floats"),
        pytest.param(
            ["c", "d", "e", "d", "a"],
            _config("multiclass", "a", "b", "c"),
            [2, None, None, None, 0],
            {"d": 2, "e": 1},
            id="multiclass",
        ),
        pytest.param(
            [1.5, float("inf"), None], _config("regression"), [1.5, None, None], {}, id="regression"
        ),
        pytest.param([2**60 + 1], _config("regression"), [float(2**60)], {}, id="large-integer"),
    ],
)
def test_labels_become_the_numbers_of_their_classes(
    labels: list[Any], config: DatasetConfig, values: list[Any], strangers: dict[str, int]
) -> None:
    found = encode_target(pa.chunked_array([labels]), config)

    assert found.values.to_pylist() == values
    assert found.values.type == pa.float64()
    assert found.strangers == strangers
    assert found.n_strangers == sum(strangers.values())


@pytest.mark.parametrize("labels", [pa.chunked_array([], pa.string()), pa.chunked_array([pa.nulls(2)])])
def test_no_labels_are_no_classes(labels: pa.ChunkedArray) -> None:
    found = encode_target(labels, _config("binary", "a", "b"))

    assert found.values.null_count == len(labels)
    assert found.n_strangers == 0


@pytest.mark.parametrize(
    ("labels", "config", "message"),
    [
        pytest.param([1, 2], _config("binary", "a", "b"), "class 'a' can't be a value of label", id="number"),
        pytest.param([True], _config("binary", "on", "off"), "boolean: write true and false", id="boolean"),
        pytest.param(["x"], _config("regression"), "a regression can't predict", id="regression"),
    ],
)
def test_classes_that_do_not_fit_the_column_are_refused(
    labels: list[Any], config: DatasetConfig, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        encode_target(pa.chunked_array([labels]), config)


def test_strangers_are_told_in_one_bounded_sentence() -> None:
    one = describe_strangers({"tulip": 1}, _config("binary", "a", "b"))
    many = describe_strangers({"x" * 90 + str(n): n for n in range(9, 0, -1)}, _config("binary", "a", "b"))

    assert one.startswith("1 row has a y that is none of the classes")
    assert "'tulip' (1)" in one
    assert many.startswith("45 rows have")
    assert "and 4 more" in many
    assert len(many) < 600


def test_the_likeliest_class_is_the_first_of_equals() -> None:
    chances = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])

    assert likeliest_classes(chances, ["a", "b", "c"]).to_pylist() == ["b", "a"]


def test_a_regression_has_no_classes_and_a_plain_binary_task_has_two() -> None:
    assert class_names(_config("regression")) == ()
    assert class_names(_config()) == ("0", "1")
    assert class_names(_config("binary", "no", "yes")) == ("no", "yes")
