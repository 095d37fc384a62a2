"""Trainings as MLflow runs: what lies where in one, and how it is written and read."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from pydantic import ValidationError

from pipelines.errors import IntegrityError
from pipelines.records import Evaluation, Speed, TrainedModel
from pipelines.registry.engine import engine_errors, insert_or_find
from pipelines.registry.local_copies import file_digest, folder_digest

BUNDLE = "bundle"
REFERENCE = "reference.parquet"
PROFILE = "reference_profile.json"
SKETCH = "reference.sketch"
EVALUATION = "evaluation.json"
SPEED = "speed.json"
SELECTION = "selection.json"
PLOTS = "plots"
MODEL = "model"
KEY_TAG = "holdfast.training_key"
DIGEST_TAG = "holdfast.bundle_digest"
CARD = "card"
_LINEAGE = "lineage"
_TRAINED = "trained.json"
_MAX_DATASET_DIGEST_CHARS = 36
# What a training may leave without, and the field of its record that has the digest.
_OPTIONAL = {"evaluation_digest": EVALUATION, "selection_digest": SELECTION}


def experiment_of(client: MlflowClient, dataset: str, artifacts_uri: str) -> str:
    """Return the id of the dataset's experiment, which is made at first use."""
    found = client.get_experiment_by_name(dataset)
    if found is None:
        try:
            return str(client.create_experiment(dataset, f"{artifacts_uri}/{dataset}"))
        except MlflowException:
            # Somebody else just made it.
            found = client.get_experiment_by_name(dataset)
            if found is None:
                raise
    return str(found.experiment_id)


def digests_of(outputs: Path) -> dict[str, str]:
    """Return the digests of what a training left, by the field of its record; "" of what it left without."""
    optional = {field: outputs / name for field, name in _OPTIONAL.items()}
    plots = outputs / PLOTS
    return {
        "reference_digest": file_digest(outputs / REFERENCE),
        "profile_digest": file_digest(outputs / PROFILE),
        "sketch_digest": file_digest(outputs / SKETCH),
        **{field: file_digest(path) if path.is_file() else "" for field, path in optional.items()},
        "plots_digest": folder_digest(plots) if plots.is_dir() else "",
    }


def write_content(
    client: MlflowClient,
    trained: TrainedModel,
    *,
    outputs: Path,
    params: Mapping[str, str],
    files: Sequence[Path],
) -> None:
    """Fill the run ``trained.mlflow_run_id``; the description that makes it readable comes last."""
    run_id, stamp = trained.mlflow_run_id, int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, stamp, 0) for name, value in trained.metrics.items()],
        params=[Param(name, str(value)) for name, value in params.items()],
        tags=[RunTag(DIGEST_TAG, trained.bundle_digest)],
    )
    insert_or_find(lambda: client.log_inputs(run_id, [_dataset_input(trained)]))
    for path in sorted(outputs.iterdir()):
        client.log_artifact(run_id, str(path))
    for path in files:
        client.log_artifact(run_id, str(path), _LINEAGE)
    client.log_text(run_id, trained.model_dump_json(indent=2), _TRAINED)


def find_run(client: MlflowClient, dataset: str, training_key: str) -> str | None:
    """Return the run that first finished the training ``training_key``; None if none did."""
    experiment = client.get_experiment_by_name(dataset)
    if experiment is None:
        return None
    found = client.search_runs(
        [experiment.experiment_id],
        f"tags.`{KEY_TAG}` = '{training_key}' and attributes.status = 'FINISHED'",
        order_by=["attributes.end_time ASC"],
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None


def read_trained(client: MlflowClient, run_id: str) -> TrainedModel:
    """Return what a run says of its training.

    Raises
    ------
    IntegrityError
        If it says nothing that can be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(client.download_artifacts(run_id, _TRAINED, scratch)).read_bytes()
    try:
        return TrainedModel.model_validate_json(text)
    except ValidationError as error:
        raise IntegrityError(
            f"{_TRAINED} of the MLflow run {run_id} describes no trained model "
            f"({error.error_count()} problems): delete that run, and train again."
        ) from error


def read_evaluation(content: bytes) -> Evaluation | None:
    """Return the evaluation in a file of one; None where it is of a format that is not known here."""
    try:
        return Evaluation.model_validate_json(content)
    except ValidationError:
        return None


def read_speed(client: MlflowClient, run_id: str) -> Speed | None:
    """Return how fast the model of a run was; None if the run does not tell."""
    with engine_errors(f"list what the run {run_id} left"):
        present = {item.path for item in client.list_artifacts(run_id)}
    if SPEED not in present:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        content = fetch(client, run_id, SPEED, Path(scratch)).read_bytes()
    try:
        return Speed.model_validate_json(content)
    except ValidationError:
        return None


def write_card(client: MlflowClient, run_id: str, texts: Mapping[str, str]) -> None:
    """Write the texts of a model card below ``card/`` of a run, in the place of those before."""
    for name, text in texts.items():
        client.log_text(run_id, text, f"{CARD}/{name}")


def fetch(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    """Bring one artifact of a run, a file or a folder, into ``folder``; return where it lies."""
    with engine_errors(f"fetch {path} of the run {run_id}"):
        return Path(client.download_artifacts(run_id, path, str(folder)))


def read_lineage(client: MlflowClient, run_id: str, name: str) -> str | None:
    """Return the text of a file below ``lineage/``; None if there is none of that name."""
    with engine_errors(f"list the lineage of the run {run_id}"):
        present = {item.path for item in client.list_artifacts(run_id, _LINEAGE)}
    if f"{_LINEAGE}/{name}" not in present:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return fetch(client, run_id, f"{_LINEAGE}/{name}", Path(scratch)).read_text(encoding="utf-8")


def read_lineage_files(client: MlflowClient, run_id: str) -> dict[str, bytes]:
    """Return every file below ``lineage/`` by its name, byte for byte; none if the training left none."""
    with engine_errors(f"list the lineage of the run {run_id}"):
        if not client.list_artifacts(run_id, _LINEAGE):
            return {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch(client, run_id, _LINEAGE, Path(scratch))
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _dataset_input(trained: TrainedModel) -> DatasetInput:
    """Return the training's data as MLflow shows it: what, which days, which digest."""
    days = trained.model_dump(
        mode="json", include={"first_partition", "last_partition", "n_partitions", "n_rows"}
    )
    return DatasetInput(
        Dataset(
            name=trained.dataset,
            digest=trained.snapshot_digest[:_MAX_DATASET_DIGEST_CHARS],
            source_type="holdfast",
            source=json.dumps({"snapshot_digest": trained.snapshot_digest}),
            profile=json.dumps(days),
        ),
        tags=[InputTag("mlflow.data.context", "training")],
    )
