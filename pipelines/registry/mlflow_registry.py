"""The adapter to MLflow: trainings as runs, challengers as model versions, aliases.

MLflow keeps what people look at. What must be certain is kept elsewhere: the ledger holds which
version is champion and the digest of each version's bytes, and both are checked here on the way out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.bundle.files import bundle_digest
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChainHead, Evaluation, Speed, TrainedModel
from pipelines.registry import runs, versions
from pipelines.registry.challengers import training_record
from pipelines.registry.engine import alone, engine_errors, open_client, use_s3_endpoint
from pipelines.registry.local_copies import file_digest, folder_digest, verified_copy
from pipelines.registry.pyfunc import save_pyfunc

CHALLENGER = "challenger"
CHAMPION = "champion"
_HEAD_TAG = "holdfast.champion_head"


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
        self._lock = home / "mlflow-register.lock"
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
            A folder with ``bundle/``, ``reference.parquet``, ``reference.sketch``, ``metrics.json``,
            ``reference_profile.json`` and perhaps ``evaluation.json``, ``selection.json``, ``speed.json`` and
            ``plots/``.
        params, tags : mapping of str to str
            What a person looks for in MLflow's pages.
        files : sequence of pathlib.Path
            What made the model: ``snapshot.json`` (its days and their digests), ``params.yaml``,
            ``environment.txt``, ``dvc.lock``, a patch where the checkout was dirty; they land
            below ``lineage/``.

        Returns
        -------
        TrainedModel
            With its run and the digests of its reference rows, their sketch and profile, its
            evaluation, how it was selected, and its plots.
        """
        with engine_errors(f"log the training of {trained.dataset}"):
            run = self._client.create_run(
                runs.experiment_of(self._client, trained.dataset, self._artifacts),
                run_name=f"{trained.candidate} {trained.partition_key}",
                tags={**tags, runs.KEY_TAG: trained.training_key},
            )
            logged = trained.model_copy(update={"mlflow_run_id": run.info.run_id, **runs.digests_of(outputs)})
            status = "FAILED"
            try:
                runs.write_content(self._client, logged, outputs=outputs, params=params, files=files)
                status = "FINISHED"
            finally:
                self._client.set_terminated(run.info.run_id, status)
        return logged

    def find_training(self, dataset: str, training_key: str) -> TrainedModel | None:
        """Return the finished training of ``training_key``, the first if there are several; None without."""
        with engine_errors(f"look for a training of {dataset}"):
            run_id = runs.find_run(self._client, dataset, training_key)
            return None if run_id is None else runs.read_trained(self._client, run_id)

    def register(self, trained: TrainedModel, *, python_model: Path) -> str:
        """Make a trained model a model version with the alias ``challenger``.

        One training is one version, also when several processes register it at once: those that share a
        home take turns; of machines that don't, each may get a number from MLflow, the lowest stays, and
        whoever sees a later one of the same training deletes it.

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
            versions.ensure_registered_model(self._client, name)
            # Of two that log a folder into one run at once, one fails, and a reader may meet half of it.
            with alone(self._lock):
                if not versions.versions_of(self._client, trained):
                    self._log_model(trained, python_model)
                    versions.create_version(self._client, trained)
            first, *later = versions.versions_of(self._client, trained)
            for version in later:
                versions.delete_version(self._client, name, version)
            present = versions.aliases_of(self._client, name).get(CHALLENGER)
            if present is None or int(present) < first:
                versions.point_alias(self._client, name, CHALLENGER, str(first))
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
            found = versions.version_of(self._client, dataset, model_version)
            return runs.read_trained(self._client, str(found.run_id))

    def bundle(self, dataset: str, model_version: str) -> Path:
        """Return a local copy of a version's bundle, whose bytes are those that the ledger names.

        Raises
        ------
        ConfigError
            If the ledger knows no such version.
        IntegrityError
            If the registry's bytes are not those that were trained.
        """
        trained = training_record(dataset, model_version, ledger=self._ledger).trained
        return verified_copy(
            self._models / dataset / model_version / runs.BUNDLE,
            digest=trained.bundle_digest,
            fetch=lambda folder: runs.fetch(self._client, trained.mlflow_run_id, runs.BUNDLE, folder),
            digest_of=bundle_digest,
        )

    def reference(self, dataset: str, model_version: str) -> Path:
        """Return a local copy of a version's reference rows, a Parquet file; raises as :meth:`bundle`."""
        trained = training_record(dataset, model_version, ledger=self._ledger).trained
        return self._copy(trained, model_version, runs.REFERENCE, trained.reference_digest)

    def reference_sketch(self, dataset: str, model_version: str) -> Path | None:
        """Return a local copy of the sketches of a version's reference, of all its rows by day.

        None for a model from before they were kept; raises as :meth:`bundle`.
        """
        return self._kept(dataset, model_version, runs.SKETCH, "sketch_digest")

    def reference_profile(self, dataset: str, model_version: str) -> Path | None:
        """Return a local copy of what a version's training saw of each column, a JSON file.

        None for a model from before it was kept; raises as :meth:`bundle`.
        """
        return self._kept(dataset, model_version, runs.PROFILE, "profile_digest")

    def evaluation(self, dataset: str, model_version: str) -> Evaluation | None:
        """Return what was measured of a version on its holdout, in the bytes that are on record.

        None for a model from before it was kept, or of another format; raises as :meth:`bundle`.
        """
        path = self._kept(dataset, model_version, runs.EVALUATION, "evaluation_digest")
        return None if path is None else runs.read_evaluation(path.read_bytes())

    def selection(self, dataset: str, model_version: str) -> Path | None:
        """Return a local copy of how a version was found among its candidates, a JSON file.

        None for a model from before its digest was kept; raises as :meth:`bundle`.
        """
        return self._kept(dataset, model_version, runs.SELECTION, "selection_digest")

    def plots(self, dataset: str, model_version: str) -> Path | None:
        """Return a local copy of the plots of a version, a folder of CSV files.

        None for a model from before their digest was kept; raises as :meth:`bundle`.
        """
        return self._kept(dataset, model_version, runs.PLOTS, "plots_digest")

    def speed(self, dataset: str, model_version: str) -> Speed | None:
        """Return how fast a version was where it was evaluated; None where that was not measured."""
        trained = training_record(dataset, model_version, ledger=self._ledger).trained
        return runs.read_speed(self._client, trained.mlflow_run_id)

    def attach_card(
        self, dataset: str, model_version: str, *, markdown: str, page: str, summary: str
    ) -> None:
        """Attach a model card to a version: below ``card/`` of its run; its summary describes the version.

        A repeat replaces it. Raises as :meth:`bundle`.
        """
        trained = training_record(dataset, model_version, ledger=self._ledger).trained
        texts = {"model_card.md": markdown, "model_card.html": page}
        with engine_errors(f"attach the model card of {dataset} v{model_version}"):
            runs.write_card(self._client, trained.mlflow_run_id, texts)
            versions.describe_version(self._client, dataset, model_version, summary)

    def alias(self, dataset: str, alias: str) -> str | None:
        """Return the version that an alias of MLflow points at; None if there is no such alias."""
        with engine_errors(f"read the aliases of {dataset}"):
            return versions.aliases_of(self._client, dataset).get(alias)

    def set_alias(self, dataset: str, alias: str, model_version: str) -> None:
        """Point an alias of MLflow at a version; the last writer wins."""
        with engine_errors(f"set the alias {alias} of {dataset}"):
            versions.point_alias(self._client, dataset, alias, model_version)

    def anchored_head(self, dataset: str) -> ChainHead | None:
        """Return the newest move of the champion that MLflow was told of; None if it was told of none."""
        with engine_errors(f"read the tags of {dataset}"):
            text = versions.tag_of(self._client, dataset, _HEAD_TAG)
        return None if text is None else ChainHead.parse(text)

    def anchor_head(self, dataset: str, head: ChainHead) -> None:
        """Tell MLflow of the newest move of the champion, by a tag; the last writer wins."""
        with engine_errors(f"tag {dataset}"):
            versions.set_tag(self._client, dataset, _HEAD_TAG, str(head))

    def lineage(self, trained: TrainedModel, name: str) -> str | None:
        """Return the text of a file that a training left below ``lineage/``; None if it left none."""
        return runs.read_lineage(self._client, trained.mlflow_run_id, name)

    def lineage_files(self, trained: TrainedModel) -> dict[str, bytes]:
        """Return every file that a training left below ``lineage/``, by name, byte for byte."""
        return runs.read_lineage_files(self._client, trained.mlflow_run_id)

    def artifact_uri(self, trained: TrainedModel, path: str = "") -> str:
        """Return the address of what a training left, or of one path in it."""
        with engine_errors(f"read the run {trained.mlflow_run_id}"):
            root: str = self._client.get_run(trained.mlflow_run_id).info.artifact_uri
        return f"{root}/{path}" if path else root

    def _kept(self, dataset: str, model_version: str, name: str, field: str) -> Path | None:
        """Return a local copy of what a version's record may have the digest of, in ``field``; else None."""
        trained = training_record(dataset, model_version, ledger=self._ledger).trained
        digest = getattr(trained, field)
        return self._copy(trained, model_version, name, digest) if digest else None

    def _copy(self, trained: TrainedModel, model_version: str, name: str, digest: str) -> Path:
        """Return a local copy of one file or folder that a training left, checked."""
        return verified_copy(
            self._models / trained.dataset / model_version / name,
            digest=digest,
            fetch=lambda folder: runs.fetch(self._client, trained.mlflow_run_id, name, folder),
            digest_of=folder_digest if name == runs.PLOTS else file_digest,
        )

    def _log_model(self, trained: TrainedModel, python_model: Path) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            bundle = runs.fetch(self._client, trained.mlflow_run_id, runs.BUNDLE, Path(scratch))
            model = Path(scratch) / runs.MODEL
            save_pyfunc(bundle, python_model, model)
            self._client.log_artifacts(trained.mlflow_run_id, str(model), runs.MODEL)
