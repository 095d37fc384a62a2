"""The scorer says what the training library says, for every family, task and kind of value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sample_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.bundle.files import PREDICTION, read_bundle, write_bundle
from pipelines.errors import ConfigError, IntegrityError, SchemaError
from pipelines.features.encoding import encode, fit_encoding
from pipelines.scoring import scorer as scorer_module
from pipelines.scoring.device import choose_device
from pipelines.scoring.model import LoadedModel
from pipelines.scoring.scorer import TOLERANCE, Scorer
from pipelines.training.candidates import fit_candidate

# Far closer than what a bundle is held to.
_CLOSE = {"rtol": 1e-10, "atol": 1e-10}

_number = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(-5, 5).map(lambda x: round(x, 1))
)
_text = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.integers(0, 9).map("site {}".format),
    st.integers(0, 400).map("{:05d}".format),
)
_row = st.fixed_dictionaries(
    dict.fromkeys(sample_models.NUMERIC, _number) | dict.fromkeys(sample_models.CATEGORICAL, _text)
)
_SCHEMA = pa.schema(
    [(name, pa.float64()) for name in sample_models.NUMERIC]
    + [(name, pa.string()) for name in sample_models.CATEGORICAL]
)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Return the folder of each candidate's bundle, by candidate and task."""
    root = tmp_path_factory.mktemp("bundles")
    return {
        (name, task): sample_models.write(root / f"{name}-{task}", name, task)
        for name in sample_models.CANDIDATES
        for task in sample_models.TASKS
    }


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_output_is_the_training_librarys(bundles: dict[tuple[str, str], Path], name: str, task: Any) -> None:
    rows = sample_models.rows(5000, 21, task=task, unseen=True)
    expected = sample_models.fitted(name, task).predict(rows)
    with Scorer.open(bundles[name, task], "cpu") as scorer:
        found = scorer.predict(rows)
    np.testing.assert_allclose(found, expected, **_CLOSE)
    assert found.dtype == np.float64
    assert len(np.unique(expected)) > 1000, "the sample makes a difference"


@pytest.mark.parametrize("task", sample_models.TASKS)
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
@settings(max_examples=60, deadline=None)
@given(rows=st.lists(_row, min_size=1, max_size=20))
def test_output_is_the_training_librarys_whatever_the_values(
    bundles: dict[tuple[str, str], Path], name: str, task: Any, rows: list[dict[str, Any]]
) -> None:
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    bundle = read_bundle(bundles[name, task])
    found = LoadedModel(bundle, "cpu").predict(encode(table, bundle.description.encoding))
    np.testing.assert_allclose(found, sample_models.fitted(name, task).predict(table), **_CLOSE)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_a_calibrated_model_says_what_its_library_says(tmp_path: Path, name: str, task: Any) -> None:
    candidate = sample_models.calibrated(name, task)
    write_bundle(tmp_path / "b", candidate.description, candidate.tensors, sample_models.golden(candidate))
    rows = sample_models.rows(1000, 21, task=task, unseen=True)
    with Scorer.open(tmp_path / "b", "cpu") as scorer:
        found = scorer.predict(rows)
    np.testing.assert_allclose(found, candidate.predict(rows), **_CLOSE)
    assert np.abs(found - sample_models.fitted(name, task).predict(rows)).max() > 0.01


def test_values_on_a_threshold_go_the_same_way(bundles: dict[tuple[str, str], Path]) -> None:
    path = bundles["hist_gradient_boosting", "regression"]
    tensors = read_bundle(path).tensors
    on_x = (tensors["feature"] == 0) & (tensors["right"] != 0)
    points = np.unique(tensors["threshold"][on_x])
    around = np.concatenate([points, np.nextafter(points, -np.inf), np.nextafter(points, np.inf)])
    rows = sample_models.rows(around.size, 4, task="regression").set_column(0, "x", pa.array(around))
    with Scorer.open(path, "cpu") as scorer:
        found = scorer.predict(rows)
    expected = sample_models.fitted("hist_gradient_boosting", "regression").predict(rows)
    np.testing.assert_allclose(found, expected, **_CLOSE)


def test_trees_without_any_split_predict_their_baseline(tmp_path: Path) -> None:
    # With one row a leaf can't be split, and no tree is better than the baseline.
    train = sample_models.rows(6, 1, task="regression")
    config = sample_models.config("regression")
    candidate = fit_candidate(
        "hist_gradient_boosting",
        train,
        train,
        config=config,
        encoding=fit_encoding(train, config.features),
        seed=1,
    )
    write_bundle(tmp_path / "b", candidate.description, candidate.tensors, sample_models.golden(candidate))
    rows = sample_models.rows(10, 2, unseen=True)
    with Scorer.open(tmp_path / "b", "cpu") as scorer:
        np.testing.assert_allclose(scorer.predict(rows), train["outcome"].to_numpy().mean(), rtol=1e-12)


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_no_rows_give_no_predictions(bundles: dict[tuple[str, str], Path], name: str) -> None:
    with Scorer.open(bundles[name, "binary"], "cpu") as scorer:
        assert scorer.predict(sample_models.rows(0, 1)).shape == (0,)
        assert scorer.predict(sample_models.rows(1, 1)).shape == (1,)


def test_order_and_further_columns_do_not_matter(bundles: dict[tuple[str, str], Path]) -> None:
    rows = sample_models.rows(50, 8)
    shuffled = rows.select(sorted(rows.column_names, reverse=True)).append_column("more", pa.nulls(50))
    with Scorer.open(bundles["embedding_network", "binary"], "cpu") as scorer:
        assert np.array_equal(scorer.predict(rows), scorer.predict(shuffled))


def test_a_missing_column_is_named(bundles: dict[tuple[str, str], Path]) -> None:
    scorer = Scorer.open(bundles["embedding_network", "binary"], "cpu")
    with scorer, pytest.raises(SchemaError, match="'site'"):
        scorer.predict(sample_models.rows(5, 1).drop_columns(["site"]))


@pytest.mark.parametrize("name", sample_models.CANDIDATES)
def test_shards_and_blocks_change_nothing(
    bundles: dict[tuple[str, str], Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sample_models.rows(9000, 5, unseen=True)
    with Scorer.open(bundles[name, "binary"], "cpu") as scorer:
        whole = scorer.predict(rows)
        monkeypatch.setattr(scorer_module, "SHARD_ROWS", 4000)
        told: list[tuple[int, int]] = []
        sharded = scorer.predict(rows, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(sharded, whole, **_CLOSE)
    assert told == [(4000, 9000), (8000, 9000), (9000, 9000)]


def test_threads_of_torch_are_given_back(bundles: dict[tuple[str, str], Path]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with Scorer.open(bundles["hist_gradient_boosting", "binary"], "cpu") as scorer:
            scorer.predict(sample_models.rows(5, 1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("error", [2e-6, 0.1, 1.0])
def test_a_model_that_does_not_repeat_its_golden_rows_is_refused(tmp_path: Path, error: float) -> None:
    candidate = sample_models.fitted("hist_gradient_boosting", "binary")
    golden = sample_models.golden(candidate)
    wrong = golden[PREDICTION].to_numpy().copy()
    wrong[17] += error
    golden = golden.set_column(golden.column_names.index(PREDICTION), PREDICTION, pa.array(wrong))
    write_bundle(tmp_path / "b", candidate.description, candidate.tensors, golden)
    with pytest.raises(IntegrityError, match="golden predictions on cpu"):
        Scorer.open(tmp_path / "b", "cpu")


def test_the_tolerance_is_relative_for_large_values(tmp_path: Path) -> None:
    candidate = sample_models.fitted("embedding_network", "regression")
    golden = sample_models.golden(candidate)
    expected = golden[PREDICTION].to_numpy()
    assert expected.min() > 10
    almost = pa.array(expected * (1 + TOLERANCE / 2))
    golden = golden.set_column(golden.column_names.index(PREDICTION), PREDICTION, almost)
    write_bundle(tmp_path / "b", candidate.description, candidate.tensors, golden)
    with Scorer.open(tmp_path / "b", "cpu") as scorer:
        assert scorer.device == "cpu"


def test_a_scorer_knows_what_it_opened(bundles: dict[tuple[str, str], Path]) -> None:
    path = bundles["embedding_network", "regression"]
    with Scorer.open(path, "cpu") as scorer:
        assert scorer.digest == read_bundle(path).digest
        assert scorer.description.family == "network"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="'tpu' is no device"):
        choose_device("tpu")


def test_the_device_follows_what_is_there() -> None:
    assert choose_device("cpu") == "cpu"
    if torch.cuda.device_count():
        assert choose_device("auto") == choose_device("cuda") == "cuda"
    else:
        assert choose_device("auto") == "cpu"
        with pytest.raises(ConfigError, match="no CUDA device"):
            choose_device("cuda")
    assert not torch.cuda.is_initialized(), "asking must leave CUDA alone, for processes that fork"
