"""A bundle in MLflow's own model format, so that MLflow's tools can load and serve it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from pipelines.bundle.files import GOLDEN_FILE, PREDICTION

# Named, not inferred: inferring them loads the model in a fresh process and takes forty times as long.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "torch")


def save_pyfunc(bundle: Path, python_model: Path, target: Path) -> None:
    """Write ``bundle`` as an MLflow model from code.

    Parameters
    ----------
    bundle : pathlib.Path
        The bundle's folder.
    python_model : pathlib.Path
        The file of code that MLflow runs to load it; it is copied into the model.
    target : pathlib.Path
        The folder to make; it must not exist.

    Notes
    -----
    This is a convenience for people and for MLflow's server. Holdfast itself reads the bundle,
    whose digest the ledger keeps, and runs no code that came with a model.
    """
    mlflow.pyfunc.save_model(
        path=str(target),
        python_model=str(python_model),
        artifacts={"bundle": str(bundle)},
        signature=_signature(pq.read_schema(bundle / GOLDEN_FILE)),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )


def _signature(golden: pa.Schema) -> ModelSignature:
    """Return the features of the golden rows as MLflow's input; every one may be null."""
    features = [field for field in golden if field.name != PREDICTION]
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(
                    DataType.string if pa.types.is_string(field.type) else DataType.double,
                    name=field.name,
                    required=False,
                )
                for field in features
            ]
        ),
        outputs=Schema([ColSpec(DataType.double)]),
    )
