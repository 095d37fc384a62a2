"""The adapter to MLflow: trainings as runs, challengers as model versions, aliases.

MLflow keeps what people look at. What must be certain is kept elsewhere: the ledger holds which
version is champion and the digest of each version's bytes, and both are checked here on the way out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis
from pydantic import ValidationError

from pipelines.bundle import bundle_digest
from pipelines.errors import ConfigError, IntegrityError
from pipelines.ledger.ledger import Ledger
from pipelines.records import TrainedModel, TrainingRecord
from pipelines.registry.engine import engine_errors, open_client, use_s3_endpoint
from pipelines.registry.local_copies import file_digest, verified_copy
from pipelines.registry.pyfunc import save_pyfunc

CHALLENGER = "challenger"
CHAMPION = "champion"
_KEY_TAG = "holdfast.training_key"
_DIGEST_TAG = "holdfast.bundle_digest"
_TRAINED = "trained.json"
_MAX_DATASET_DIGEST_CHARS = 36


class Registry:
    """MLflow's runs and model versions.

    Parameters
    ----------
    tracking_uri : str
        A database (``sqlite:///…``, ``postgresql://…``) or the address of an MLflow server.
    artifacts_uri : str
        A folder or ``s3://bucket/prefix``; the runs of dataset ``d`` lie below ``artifacts_uri/d``.
    home : pathlib.Path
        Local copies of models lie below ``home/models``.
    ledger : Ledger
        What each model version's bytes must be.
    s3_endpoint_url : str, optional
        The S3 service, where it is not Amazon's.

    Raises
    ------
    EngineError
        From every method, if MLflow, its database or its artifact store fails.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifacts_uri: str,
        home: Path,
        ledger: Ledger,
        *,
        s3_endpoint_url: str | None = None,
    ) -> None:
        self._artifacts = artifacts_uri if "://" in artifacts_uri else Path(artifacts_uri).resolve().as_uri()
        self._models = home / "models"
        self._ledger = ledger
        use_s3_endpoint(s3_endpoint_url)
        self._client = open_client(tracking_uri, home)

    def log_training(
        self,
        trained: TrainedModel,
        *,
        outputs: Path,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        files: Sequence[Path],
    ) -> TrainedModel:
        """Write a finished training down as one MLflow run.

        The run counts only once all of it is there: one that is killed half-way stays ``RUNNING``
        (or is marked ``FAILED``), and :meth:`find_training` never finds it.

        Parameters
        ----------
        trained : TrainedModel
            With ``mlflow_run_id`` empty; its metrics become the run's.
        outputs : pathlib.Path
            A folder with ``bundle/``, ``reference.parquet``, ``metrics.json`` and perhaps ``plots/``.
        params, tags : mapping of str to str
            What a person looks for in MLflow's pages.
        files : sequence of pathlib.Path
            What made the model (``dvc.lock``, ``params.yaml``, …); they land below ``lineage/``.

        Returns
        -------
        TrainedModel
            With its run and the digest of its reference rows.
        """
        with engine_errors(f"log the training of {trained.dataset}"):
            run = self._client.create_run(
                self._experiment(trained.dataset),
                run_name=f"{trained.candidate} {trained.partition_key}",
                tags={**tags, _KEY_TAG: trained.training_key},
            )
            logged = trained.model_copy(
                update={
                    "mlflow_run_id": run.info.run_id,
                    "reference_digest": file_digest(outputs / "reference.parquet"),
                }
            )
            status = "FAILED"
            try:
                self._log_content(logged, outputs, params, files)
                status = "FINISHED"
            finally:
                self._client.set_terminated(run.info.run_id, status)
        return logged

    def find_training(self, dataset: str, training_key: str) -> TrainedModel | None:
        """Return the finished training of ``training_key``, the first if there are several; None without."""
        with engine_errors(f"look for a training of {dataset}"):
            experiment = self._client.get_experiment_by_name(dataset)
            if experiment is None:
                return None
            found = self._client.search_runs(
                [experiment.experiment_id],
                f"tags.`{_KEY_TAG}` = '{training_key}' and attributes.status = 'FINISHED'",
                order_by=["attributes.end_time ASC"],
                max_results=1,
            )
            return self._trained(found[0]) if found else None

    def register(self, trained: TrainedModel, *, python_model: Path) -> str:
        """Make a trained model a model version with the alias ``challenger``.

        One training is one version, also when several processes register it at once: MLflow gives
        each a number, the lowest stays, and whoever sees a later one of the same training deletes it.

        Parameters
        ----------
        python_model : pathlib.Path
            The code by which MLflow itself can load the bundle.

        Returns
        -------
        str
            The model version; the same for every repeat.
        """
        name = trained.dataset
        with engine_errors(f"register the training {trained.training_key[:16]} of {name}"):
            self._ensure_registered_model(name)
            if not self._versions(trained):
                self._create_version(trained, python_model)
            first, *later = self._versions(trained)
            for version in later:
                self._delete_version(name, version)
            present = self._aliases(name).get(CHALLENGER)
            if present is None or int(present) < first:
                self._client.set_registered_model_alias(name, CHALLENGER, str(first))
        return str(first)

    def training_of(self, dataset: str, model_version: str) -> TrainedModel:
        """Return the training that MLflow says a model version came from.

        Raises
        ------
        ConfigError
            If MLflow has no such version.
        IntegrityError
            If its description is not one of a trained model.
        """
        with engine_errors(f"read model version {model_version} of {dataset}"):
            return self._trained(self._client.get_run(self._version(dataset, model_version).run_id))

    def bundle(self, dataset: str, model_version: str) -> Path:
        """Return a local copy of a version's bundle, whose bytes are those that the ledger names.

        Raises
        ------
        ConfigError
            If the ledger knows no such version.
        IntegrityError
            If the registry's bytes are not those that were trained.
        """
        trained = self._recorded(dataset, model_version)
        return verified_copy(
            self._models / dataset / model_version / "bundle",
            digest=trained.bundle_digest,
            fetch=lambda folder: self._fetch(trained, "bundle", folder),
            digest_of=bundle_digest,
        )

    def reference(self, dataset: str, model_version: str) -> Path:
        """Return a local copy of a version's reference rows, a Parquet file; raises as :meth:`bundle`."""
        trained = self._recorded(dataset, model_version)
        return verified_copy(
            self._models / dataset / model_version / "reference.parquet",
            digest=trained.reference_digest,
            fetch=lambda folder: self._fetch(trained, "reference.parquet", folder),
            digest_of=file_digest,
        )

    def alias(self, dataset: str, alias: str) -> str | None:
        """Return the version that an alias of MLflow points at; None if there is no such alias."""
        with engine_errors(f"read the aliases of {dataset}"):
            return self._aliases(dataset).get(alias)

    def set_alias(self, dataset: str, alias: str, model_version: str) -> None:
        """Point an alias of MLflow at a version; the last writer wins."""
        with engine_errors(f"set the alias {alias} of {dataset}"):
            self._client.set_registered_model_alias(dataset, alias, model_version)

    def artifact_uri(self, trained: TrainedModel, path: str = "") -> str:
        """Return the address of what a training left, or of one path in it."""
        with engine_errors(f"read the run {trained.mlflow_run_id}"):
            root: str = self._client.get_run(trained.mlflow_run_id).info.artifact_uri
        return f"{root}/{path}" if path else root

    def _log_content(
        self, trained: TrainedModel, outputs: Path, params: Mapping[str, str], files: Sequence[Path]
    ) -> None:
        run_id, stamp = trained.mlflow_run_id, get_current_time_millis()
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, stamp, 0) for name, value in trained.metrics.items()],
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(_DIGEST_TAG, trained.bundle_digest)],
        )
        self._client.log_inputs(run_id, [_dataset_input(trained)])
        for path in sorted(outputs.iterdir()):
            self._client.log_artifact(run_id, str(path))
        for path in files:
            self._client.log_artifact(run_id, str(path), "lineage")
        self._client.log_text(run_id, trained.model_dump_json(indent=2), _TRAINED)

    def _create_version(self, trained: TrainedModel, python_model: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            bundle = self._fetch(trained, "bundle", Path(scratch))
            model = Path(scratch) / "model"
            save_pyfunc(bundle, python_model, model)
            self._client.log_artifacts(trained.mlflow_run_id, str(model), "model")
        self._client.create_model_version(
            trained.dataset,
            source=f"runs:/{trained.mlflow_run_id}/model",
            run_id=trained.mlflow_run_id,
            tags={_KEY_TAG: trained.training_key, _DIGEST_TAG: trained.bundle_digest},
            description=f"{trained.candidate}, {trained.first_partition} to {trained.last_partition}: {trained.reason}",
        )

    def _recorded(self, dataset: str, model_version: str) -> TrainedModel:
        record = self._ledger.latest(TrainingRecord, dataset, subject=model_version)
        if record is None:
            known = [record.model_version for record in self._ledger.history(TrainingRecord, dataset)]
            raise ConfigError(f"{dataset} has no model version {model_version!r}. {known_versions(known)}")
        return record.trained

    def _fetch(self, trained: TrainedModel, path: str, folder: Path) -> Path:
        with engine_errors(f"fetch {path} of the run {trained.mlflow_run_id}"):
            return Path(self._client.download_artifacts(trained.mlflow_run_id, path, str(folder)))

    def _trained(self, run: Run) -> TrainedModel:
        with tempfile.TemporaryDirectory() as scratch:
            text = Path(self._client.download_artifacts(run.info.run_id, _TRAINED, scratch)).read_bytes()
        try:
            return TrainedModel.model_validate_json(text)
        except ValidationError as error:
            raise IntegrityError(
                f"{_TRAINED} of the MLflow run {run.info.run_id} describes no trained model "
                f"({error.error_count()} problems): delete that run, and train again."
            ) from error

    def _experiment(self, dataset: str) -> str:
        found = self._client.get_experiment_by_name(dataset)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(dataset, f"{self._artifacts}/{dataset}"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self._client.get_experiment_by_name(dataset).experiment_id)

    def _ensure_registered_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _versions(self, trained: TrainedModel) -> list[int]:
        found = self._client.search_model_versions(
            f"name = '{trained.dataset}' and tag.`{_KEY_TAG}` = '{trained.training_key}'"
        )
        return sorted(int(version.version) for version in found)

    def _version(self, dataset: str, model_version: str) -> ModelVersion:
        try:
            return self._client.get_model_version(dataset, model_version)
        except MlflowException as error:
            raise ConfigError(f"MLflow has no model version {model_version!r} of {dataset}.") from error

    def _delete_version(self, name: str, version: int) -> None:
        try:
            self._client.delete_model_version(name, str(version))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def _aliases(self, dataset: str) -> dict[str, str]:
        try:
            found = self._client.get_registered_model(dataset).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
        return {alias: str(version) for alias, version in found.items()}


def known_versions(versions: Sequence[str]) -> str:
    """Return a sentence that names the versions there are; the last twelve, if there are many."""
    if not versions:
        return "There is none yet: train one first."
    more = f" (and {len(versions) - 12} older)" if len(versions) > 12 else ""
    return f"Known: {', '.join(versions[-12:])}{more}."


def _dataset_input(trained: TrainedModel) -> DatasetInput:
    """Return the training's data as MLflow shows it: what, which days, which digest."""
    return DatasetInput(
        Dataset(
            name=trained.dataset,
            digest=trained.snapshot_digest[:_MAX_DATASET_DIGEST_CHARS],
            source_type="holdfast",
            source=f'{{"snapshot_digest": "{trained.snapshot_digest}"}}',
            profile=(
                f'{{"first_partition": "{trained.first_partition}", "last_partition": "{trained.last_partition}", '
                f'"n_partitions": {trained.n_partitions}, "n_rows": {trained.n_rows}}}'
            ),
        ),
        tags=[InputTag("mlflow.data.context", "training")],
    )
