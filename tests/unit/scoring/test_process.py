"""A model in a process of its own: what the GPU's path does, tried on the CPU."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
import sample_models

from pipelines.bundle.files import PREDICTION, Bundle, read_bundle
from pipelines.errors import EngineError, IntegrityError
from pipelines.features.encoding import Encoded, encode
from pipelines.scoring.model import LoadedModel
from pipelines.scoring.process import ModelProcess, serve
from pipelines.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_models.write(tmp_path_factory.mktemp("b") / "b", "hist_gradient_boosting", "binary")


@pytest.fixture(scope="module")
def bundle(path: Path) -> Bundle:
    return read_bundle(path)


def _encoded(n: int, bundle: Bundle) -> Encoded:
    return encode(sample_models.rows(n, 31, unseen=True), bundle.description.encoding)


def _children() -> list[int]:
    """Return the processes that score for this one; what other tests left running here may come and go."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "pipelines.scoring.process" in child.cmdline():
                found.append(child.pid)
    return found


def test_a_scorer_in_a_process_says_the_same_and_ends_with_its_scorer(
    path: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither a module that lies in the working folder nor what a library prints gets in the way.
    (tmp_path / "torch.py").write_text("raise SystemExit('the wrong torch')")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text("import os; os.write(1, b'noise')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hooks"))
    monkeypatch.chdir(tmp_path)
    before = _children()
    rows = sample_models.rows(3000, 6, unseen=True)
    with Scorer(bundle, ModelProcess(path, bundle, "cpu"), "cpu") as scorer:
        assert len(_children()) == len(before) + 1
        found = [scorer.predict(rows), scorer.predict(rows.slice(0, 7)), scorer.predict(rows.slice(0, 0))]
    assert _children() == before
    expected = sample_models.fitted("hist_gradient_boosting", "binary").predict(rows)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[:7], rtol=1e-12)
    assert found[2].shape == (0,)


def test_other_bytes_than_were_opened_are_refused_and_leave_no_process(
    bundle: Bundle, tmp_path: Path
) -> None:
    other = sample_models.write(tmp_path / "b", "embedding_network", "binary")
    before = _children()
    with pytest.raises(EngineError, match="has changed since it was opened"):
        Scorer(bundle, ModelProcess(other, bundle, "cpu"), "cpu")
    assert _children() == before


def test_a_process_that_was_killed_is_an_engine_error(path: Path, bundle: Bundle) -> None:
    process = ModelProcess(path, bundle, "cpu")
    process.predict(_encoded(3, bundle))
    process._process.kill()
    process._process.wait()
    with pytest.raises(EngineError, match="status -9"):
        process.predict(_encoded(3, bundle))
    process.close()
    process.close()


def test_serve_answers_one_batch_for_one(path: Path, bundle: Bundle) -> None:
    encoded = _encoded(10, bundle)
    requests, replies = io.BytesIO(), io.BytesIO()
    columns = [*encoded.numeric.T, *encoded.codes.T]
    batch = pa.record_batch(
        [pa.array(column) for column in columns], names=[str(i) for i in range(len(columns))]
    )
    with pa.ipc.new_stream(requests, batch.schema) as writer:
        writer.write_batch(batch.slice(0, 4))
        writer.write_batch(batch.slice(4))
    requests.seek(0)
    serve(path, bundle.digest, "cpu", requests, replies)
    replies.seek(0)
    found = [reply.column(PREDICTION).to_numpy() for reply in pa.ipc.open_stream(replies)]
    assert [len(part) for part in found] == [4, 6]
    np.testing.assert_array_equal(np.concatenate(found), LoadedModel(bundle, "cpu").predict(encoded))


def test_serve_refuses_another_bundle(path: Path) -> None:
    with pytest.raises(IntegrityError, match="has changed"):
        serve(path, "0" * 64, "cpu", io.BytesIO(), io.BytesIO())
