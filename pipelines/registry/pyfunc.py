"""A bundle in MLflow's own model format, so that MLflow's tools can load and serve it."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from pipelines.bundle.description import BundleDescription
from pipelines.bundle.files import PREDICTION, output_columns, read_bundle

with warnings.catch_warnings():
    # MLflow warns of its own type hints when it is imported.
    warnings.simplefilter("ignore", UserWarning)
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

# Named, not inferred: inferring them loads the model in a fresh process and takes forty times as long.
_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "torch")
_N_EXAMPLES = 2


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
    read = read_bundle(bundle)
    features = read.golden.drop_columns(list(output_columns(read.description)))
    mlflow.pyfunc.save_model(
        path=str(target),
        python_model=str(python_model),
        artifacts={"bundle": str(bundle)},
        signature=_signature(features.schema, read.description),
        input_example=features.slice(0, _N_EXAMPLES).to_pandas(),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
    )


def _signature(features: pa.Schema, description: BundleDescription) -> ModelSignature:
    """Return the feature columns as MLflow's input (every one may be null), and what comes of them."""
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.double)]
    if description.task == "multiclass":
        outputs = [ColSpec(DataType.string, name=PREDICTION)]
        outputs += [ColSpec(DataType.double, name=name) for name in output_columns(description)]
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
        outputs=Schema(outputs),
    )
