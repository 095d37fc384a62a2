"""MLflow loads a bundle of any family, calibrated or not, and says what the scorer says."""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import numpy as np
import pyarrow as pa
import pytest
import sample_models
from mlflow.pyfunc.scoring_server import init as scoring_app

from pipelines.bundle.files import write_bundle
from pipelines.registry.pyfunc import save_pyfunc
from pipelines.training.candidates import FittedCandidate

FEATURES = [*sample_models.NUMERIC, *sample_models.CATEGORICAL]
CASES = [
    pytest.param("linear_model", "regression", False, id="linear-regression"),
    pytest.param("linear_model", "binary", True, id="linear-binary-calibrated"),
    pytest.param("hist_gradient_boosting", "binary", True, id="trees-binary-calibrated"),
    pytest.param("embedding_network", "multiclass", True, id="network-multiclass-calibrated"),
]


def _saved(folder: Path, candidate: FittedCandidate) -> Path:
    golden = sample_models.golden(candidate)
    write_bundle(folder / "bundle", candidate.description, candidate.tensors, golden)
    code = find_spec("pipelines.scoring.pyfunc_model")
    assert code is not None
    assert code.origin is not None
    save_pyfunc(folder / "bundle", Path(code.origin), folder / "model")
    return folder / "model"


@pytest.mark.parametrize(("name", "task", "is_calibrated"), CASES)
def test_mlflow_loads_and_predicts(tmp_path: Path, name: str, task: Any, is_calibrated: bool) -> None:
    candidate = (sample_models.calibrated if is_calibrated else sample_models.fitted)(name, task)
    model = mlflow.pyfunc.load_model(str(_saved(tmp_path, candidate)))
    rows = sample_models.rows(40, 8, task=task, unseen=True).select(FEATURES)
    found = model.predict(rows.to_pandas())
    expected = candidate.predict(rows)
    if task == "multiclass":
        assert found["prediction"].tolist() == [sample_models.CLASSES[i] for i in expected.argmax(axis=1)]
        found = found.drop(columns=["prediction"]).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def _post(model: Any, content: str) -> httpx.Response:
    """Ask the very application that ``mlflow models serve`` runs."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=scoring_app(model))
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
            return await client.post(
                "/invocations", content=content, headers={"Content-Type": "application/json"}
            )

    return asyncio.run(ask())


def test_mlflow_serves_it_over_http(tmp_path: Path) -> None:
    candidate = sample_models.calibrated("linear_model", "binary")
    model = mlflow.pyfunc.load_model(str(_saved(tmp_path, candidate)))
    rows = sample_models.rows(5, 8).select(FEATURES)
    # JSON has no infinite numbers; null is a missing value.
    frame = rows.to_pandas().replace([np.inf, -np.inf], np.nan)
    split = json.loads(frame.to_json(orient="split"))
    content = {"dataframe_split": {"columns": split["columns"], "data": split["data"]}}
    answer = _post(model, json.dumps(content))
    assert answer.status_code == 200, answer.text
    expected = candidate.predict(pa.Table.from_pandas(frame, schema=rows.schema, preserve_index=False))
    np.testing.assert_allclose(answer.json()["predictions"], expected, rtol=1e-9)
