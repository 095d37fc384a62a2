"""A model exported as ONNX says what the model says, for every family and task, and for odd columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
import sample_models

from pipelines.bundle.files import Bundle, read_bundle, with_outputs, write_bundle
from pipelines.config import DatasetConfig
from pipelines.errors import EngineError, IntegrityError
from pipelines.features.encoding import fit_encoding
from pipelines.registry.onnx_export import ONNX_TOLERANCE, check_onnx, onnx_error, run_onnx, to_onnx
from pipelines.training.candidates import FittedCandidate, fit_candidate


def _bundle(path: Path, candidate: FittedCandidate, golden: pa.Table | None = None) -> Bundle:
    if golden is None:
        golden = sample_models.golden(candidate)
    write_bundle(path, candidate.description, candidate.tensors, golden)
    return read_bundle(path)


@pytest.mark.parametrize(
    ("task", "is_calibrated"),
    [
        pytest.param("binary", False, id="binary"),
        pytest.param("binary", True, id="binary-calibrated"),
        pytest.param("regression", False, id="regression"),
        pytest.param("multiclass", True, id="multiclass-calibrated"),
    ],
)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_onnx_says_what_the_training_library_says(
    tmp_path: Path, name: str, task: Any, is_calibrated: bool
) -> None:
    candidate = (sample_models.calibrated if is_calibrated else sample_models.fitted)(name, task)
    bundle = _bundle(tmp_path / "b", candidate)
    model = to_onnx(bundle)
    rows = sample_models.rows(2000, 21, task=task, unseen=True)
    found = run_onnx(model, rows, bundle.description.encoding)
    np.testing.assert_allclose(found, candidate.predict(rows), rtol=1e-9, atol=1e-9)
    assert check_onnx(model, bundle) < 1e-9


def test_values_on_a_threshold_go_the_same_way(tmp_path: Path) -> None:
    candidate = sample_models.fitted("hist_gradient_boosting", "regression")
    bundle = _bundle(tmp_path / "b", candidate)
    on_x = (bundle.tensors["feature"] == 0) & (bundle.tensors["right"] != 0)
    points = np.unique(bundle.tensors["threshold"][on_x])
    around = np.concatenate([points, np.nextafter(points, -np.inf), np.nextafter(points, np.inf)])
    rows = sample_models.rows(around.size, 4, task="regression").set_column(0, "x", pa.array(around))
    found = run_onnx(to_onnx(bundle), rows, bundle.description.encoding)
    np.testing.assert_allclose(found, candidate.predict(rows), rtol=1e-10)


def _renamed(names: dict[str, str]) -> tuple[DatasetConfig, pa.Table, pa.Table]:
    """Return configuration, rows to learn from and rows to score, with other names for the features."""
    config = sample_models.config("multiclass", max_iterations=5, max_epochs=1)
    features = config.features.model_copy(
        update={
            kind: tuple(names[name] for name in getattr(config.features, kind) if name in names)
            for kind in ("numeric", "categorical")
        }
    )
    tables = []
    for seed, is_unseen in ((1, False), (2, True)):
        rows = sample_models.rows(300, seed, task="multiclass", unseen=is_unseen)
        tables.append(rows.select([*names, "outcome"]).rename_columns([*names.values(), "outcome"]))
    return config.model_copy(update={"features": features}), tables[0], tables[1]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(
            {"x": "probabilities", "y": "trees", "site": "constant_0", "void": "concat_0"}, id="our-own-names"
        ),
        pytest.param({"x": "ein Feld", "y": "<b>&", "site": "Ωmega"}, id="odd-names"),
        pytest.param({"x": "x", "flat": "flat"}, id="numbers-alone"),
        pytest.param({"site": "site", "void": "void"}, id="categories-alone"),
        pytest.param({"blank": "blank", "void": "void"}, id="nothing-known"),
    ],
)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_columns_of_any_kind_and_name_are_exported(tmp_path: Path, name: str, names: dict[str, str]) -> None:
    config, train, test = _renamed(names)
    encoding = fit_encoding(train, config.features)
    candidate = fit_candidate(name, train, train, config=config, encoding=encoding, seed=1)
    bundle = _bundle(tmp_path / "b", candidate, with_outputs(test, candidate.predict(test)).slice(0, 100))
    model = to_onnx(bundle)
    found = run_onnx(model, test, encoding)
    np.testing.assert_allclose(found, candidate.predict(test), rtol=1e-9, atol=1e-9)


def test_a_level_that_is_the_empty_text_is_told_from_a_missing_one(tmp_path: Path) -> None:
    train = sample_models.rows(400, 1)
    index = train.column_names.index("site")
    sites = pa.array(["" if site == "site 1" else site for site in train["site"].to_pylist()])
    train = train.set_column(index, "site", sites)
    config = sample_models.config("binary")
    encoding = fit_encoding(train, config.features)
    candidate = fit_candidate("linear_model", train, train, config=config, encoding=encoding, seed=1)
    rows = sample_models.rows(2, 5).set_column(index, "site", pa.array(["", None], pa.string()))
    bundle = _bundle(tmp_path / "b", candidate, with_outputs(rows, candidate.predict(rows)))
    found = run_onnx(to_onnx(bundle), rows, encoding)
    np.testing.assert_allclose(found, candidate.predict(rows), rtol=1e-9)


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path) -> None:
    candidate = sample_models.calibrated("hist_gradient_boosting", "multiclass")
    first, second = (_bundle(tmp_path / name, candidate) for name in ("a", "b"))
    assert to_onnx(first).SerializeToString(deterministic=True) == to_onnx(second).SerializeToString(
        deterministic=True
    )


def test_the_model_names_its_bundle_and_its_columns(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "b", sample_models.fitted("linear_model", "multiclass"))
    model = to_onnx(bundle)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["bundle_digest"] == bundle.digest
    assert told["classes"].split("\n") == list(sample_models.CLASSES)
    inputs = [entry.name for entry in model.graph.input]
    assert inputs == [*sample_models.NUMERIC, *sample_models.CATEGORICAL]
    assert [entry.name for entry in model.graph.output] == ["probabilities"]


def test_a_model_that_says_something_else_is_refused(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "b", sample_models.fitted("linear_model", "binary"))
    other = _bundle(tmp_path / "other", sample_models.calibrated("linear_model", "binary"))
    assert onnx_error(to_onnx(other), bundle) > ONNX_TOLERANCE
    with pytest.raises(IntegrityError, match=r"off by up to .* Nothing was written"):
        check_onnx(to_onnx(other), bundle)


def test_a_model_that_can_not_run_is_told(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path / "b", sample_models.fitted("linear_model", "binary"))
    model = to_onnx(bundle)
    broken = onnx.ModelProto.FromString(model.SerializeToString())
    broken.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match="onnxruntime can't run"):
        run_onnx(broken, bundle.golden, bundle.description.encoding)
