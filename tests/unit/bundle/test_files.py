"""A bundle survives its trip to disk, and nothing else gets in with it."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sample_models
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from pipelines.bundle.description import BundleDescription
from pipelines.bundle.files import (
    DESCRIPTION_FILE,
    GOLDEN_FILE,
    PREDICTION,
    WEIGHTS_FILE,
    bundle_digest,
    output_columns,
    read_bundle,
    write_bundle,
)
from pipelines.errors import IntegrityError
from pipelines.records import digest_of


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return sample_models.write(tmp_path / "bundle", "hist_gradient_boosting", "binary")


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_what_is_written_is_read(tmp_path: Path, name: str, task: Any) -> None:
    candidate = sample_models.fitted(name, task)
    golden = sample_models.golden(candidate)
    digest = write_bundle(tmp_path / "b", candidate.description, candidate.tensors, golden)
    found = read_bundle(tmp_path / "b")
    assert found.description == candidate.description
    assert found.tensors.keys() == candidate.tensors.keys()
    for key, tensor in candidate.tensors.items():
        np.testing.assert_array_equal(found.tensors[key], tensor, strict=True)
    features = [*sample_models.NUMERIC, *sample_models.CATEGORICAL]
    assert found.golden.equals(golden.select([*features, *output_columns(candidate.description)]))
    assert found.digest == digest == bundle_digest(tmp_path / "b")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        sample_models.write(tmp_path / name, "embedding_network", "binary") for name in ("a", "b")
    )
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE, GOLDEN_FILE):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_digest_is_over_names_and_the_hashes_of_their_bytes(bundle: Path) -> None:
    hashes = [[path.name, sha256(path.read_bytes()).hexdigest()] for path in sorted(bundle.iterdir())]
    assert bundle_digest(bundle) == digest_of(hashes)


@pytest.mark.parametrize("name", [DESCRIPTION_FILE, WEIGHTS_FILE, GOLDEN_FILE])
def test_every_byte_counts_for_the_digest(bundle: Path, name: str) -> None:
    before = bundle_digest(bundle)
    (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
    assert bundle_digest(bundle) != before


def test_a_folder_with_something_in_it_is_not_written_into(bundle: Path) -> None:
    before = bundle_digest(bundle)
    with pytest.raises(IntegrityError, match="already"):
        sample_models.write(bundle, "embedding_network", "binary")
    assert bundle_digest(bundle) == before


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def _add_pickle(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(pickle.dumps(_Bomb()))


def _pickle_for_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes(pickle.dumps(_Bomb()))


def _add_folder(folder: Path) -> None:
    (folder / "code").mkdir()


def _folder_for_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    (folder / WEIGHTS_FILE).mkdir()


def _pipe_for_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    os.mkfifo(folder / WEIGHTS_FILE)


def _link_for_description(folder: Path) -> None:
    (folder / DESCRIPTION_FILE).rename(folder.parent / "elsewhere.json")
    (folder / DESCRIPTION_FILE).symlink_to(folder.parent / "elsewhere.json")


def _drop_golden(folder: Path) -> None:
    (folder / GOLDEN_FILE).unlink()


def _golden_of_noise(folder: Path) -> None:
    (folder / GOLDEN_FILE).write_bytes(b"PAR1 and no more")


def _huge_golden(folder: Path) -> None:
    with (folder / GOLDEN_FILE).open("r+b") as file:
        file.truncate(17 * 2**20)


def _edit_description(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / DESCRIPTION_FILE).read_text())
        (folder / DESCRIPTION_FILE).write_text(json.dumps(content | changes))

    return edit


def _edit_golden(**columns: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = pq.read_table(folder / GOLDEN_FILE)
        for name, value in columns.items():
            index = table.column_names.index(name)
            table = table.set_column(index, name, pa.array([value] * table.num_rows))
        pq.write_table(table, folder / GOLDEN_FILE)

    return edit


def _many_golden(folder: Path) -> None:
    table = pq.read_table(folder / GOLDEN_FILE)
    pq.write_table(pa.concat_tables([table] * 5), folder / GOLDEN_FILE)


def _no_golden(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / GOLDEN_FILE).slice(0, 0), folder / GOLDEN_FILE)


def _golden_without_feature(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / GOLDEN_FILE).drop_columns(["x"]), folder / GOLDEN_FILE)


def _edit_weights(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS_FILE)
        for name, change in changes.items():
            tensors[name] = change(tensors.get(name))
        save_file(
            {name: tensor for name, tensor in tensors.items() if tensor is not None}, folder / WEIGHTS_FILE
        )

    return edit


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        pytest.param(_add_pickle, r"model\.pkl", id="a-pickle-beside"),
        pytest.param(_pickle_for_weights, "no safetensors", id="a-pickle-for-weights"),
        pytest.param(_add_folder, "'code'", id="a-folder"),
        pytest.param(_folder_for_weights, "no plain file", id="a-folder-for-weights"),
        pytest.param(_pipe_for_weights, "no plain file", id="a-pipe-for-weights"),
        pytest.param(_link_for_description, "is a link", id="a-link"),
        pytest.param(_drop_golden, "lacks golden", id="a-file-missing"),
        pytest.param(_golden_of_noise, "no Parquet", id="golden-is-no-parquet"),
        pytest.param(_huge_golden, "larger than", id="golden-too-large"),
        pytest.param(_many_golden, "has 250", id="too-many-golden-rows"),
        pytest.param(_no_golden, "has 0", id="no-golden-rows"),
        pytest.param(_golden_without_feature, "do not fit", id="golden-lacks-a-feature"),
        pytest.param(_edit_golden(x="text"), "do not fit", id="golden-of-another-type"),
        pytest.param(_edit_golden(prediction=float("nan")), "not finite", id="golden-prediction-nan"),
        pytest.param(_edit_golden(prediction=None), "not finite", id="golden-prediction-null"),
        pytest.param(_edit_description(format="zip"), "format: ", id="wrong-magic"),
        pytest.param(_edit_description(format_version=2), "format_version: ", id="a-later-format"),
        pytest.param(_edit_description(loader_module="os"), "loader_module: ", id="unknown-key"),
        pytest.param(
            _edit_description(architecture={"family": "python"}), "architecture", id="unknown-family"
        ),
        pytest.param(_edit_weights(extra=lambda _: np.zeros(1)), "'extra' is unknown", id="unknown-tensor"),
        pytest.param(_edit_weights(value=lambda _: None), "'value' is missing", id="missing-tensor"),
        pytest.param(_edit_weights(value=lambda v: v.astype(np.float32)), "value is", id="another-type"),
        pytest.param(_edit_weights(value=lambda v: v[:-1].copy()), "value is", id="another-shape"),
        pytest.param(_edit_weights(value=lambda v: v * np.nan), "not all finite", id="weights-nan"),
    ],
)
def test_what_is_no_bundle_is_refused(
    bundle: Path, harm: Callable[[Path], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.parent)
    harm(bundle)
    with pytest.raises(IntegrityError, match=message):
        read_bundle(bundle)
    assert not Path("exploded").exists()


def test_weights_of_unknown_type_are_refused(bundle: Path) -> None:
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}).encode()
    content = len(header).to_bytes(8, "little") + header + b"\0"
    (bundle / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(IntegrityError, match="safetensors"):
        read_bundle(bundle)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="can be read"):
        bundle_digest(tmp_path / "nowhere")


def test_a_feature_may_not_be_called_prediction(tmp_path: Path) -> None:
    candidate = sample_models.fitted("hist_gradient_boosting", "binary")
    content = candidate.description.model_dump()
    content["encoding"]["numeric"][0]["name"] = PREDICTION
    description = type(candidate.description).model_validate(content)
    with pytest.raises(IntegrityError, match="rename"):
        write_bundle(tmp_path / "b", description, candidate.tensors, sample_models.golden(candidate))
    assert not (tmp_path / "b").exists()


def test_embedding_widths_must_match_the_encoding() -> None:
    content = sample_models.fitted("embedding_network", "binary").description.model_dump()
    content["architecture"]["embedding_widths"] = (2,)
    with pytest.raises(ValueError, match="1 embedding widths for 3 categorical columns"):
        type(sample_models.fitted("embedding_network", "binary").description).model_validate(content)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        pytest.param("multiclass", {"classes": ["a", "b"]}, "2 classes", id="too-few"),
        pytest.param("multiclass", {"classes": list("abcda")}, "same one twice", id="twice"),
        pytest.param("binary", {"classes": ["a"]}, "1 classes", id="half-a-binary"),
        pytest.param("regression", {"classes": ["a", "b"]}, "2 classes", id="regression"),
        pytest.param(
            "multiclass", {"classes": list("abcdefg")}, "not as many for each of 7", id="uneven-trees"
        ),
    ],
)
def test_classes_must_fit_the_task(task: Any, changes: dict[str, Any], message: str) -> None:
    content = sample_models.fitted("hist_gradient_boosting", task).description.model_dump()
    if content["architecture"]["n_trees"] % 7 == 0:
        content["architecture"]["n_trees"] += 1
    with pytest.raises(ValidationError, match=message):
        BundleDescription.model_validate(content | changes)


@pytest.mark.parametrize(
    ("task", "calibration", "message"),
    [
        pytest.param("binary", {"slope": 0.0, "intercepts": [0.0]}, "greater than 0", id="turns-the-order"),
        pytest.param("binary", {"slope": 1.0, "intercepts": [0.0, 0.0]}, "2 intercepts", id="too-many"),
        pytest.param("multiclass", {"slope": 1.0, "intercepts": [0.0]}, "1 intercepts", id="too-few"),
        pytest.param("binary", {"slope": 1.0, "intercepts": [np.nan]}, "finite", id="nan"),
        pytest.param("regression", {"slope": 1.0, "intercepts": [0.0]}, "no probabilities", id="regression"),
    ],
)
def test_a_calibration_must_fit_the_model(task: Any, calibration: dict[str, Any], message: str) -> None:
    content = sample_models.fitted("linear_model", task).description.model_dump()
    with pytest.raises(ValidationError, match=message):
        BundleDescription.model_validate(content | {"calibration": calibration})


def test_a_description_without_classes_does_not_mention_them() -> None:
    plain, named = (
        sample_models.fitted("hist_gradient_boosting", task).description.model_dump_json()
        for task in ("binary", "multiclass")
    )
    assert "classes" not in plain
    assert "classes" in named
