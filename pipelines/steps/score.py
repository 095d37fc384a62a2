"""Score a partition with the champion."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pyarrow as pa

from pipelines.errors import NotReadyError
from pipelines.features.query import load_features
from pipelines.records import ScoringRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.scoring.outcome import predict, with_predictions
from pipelines.scoring.scorer import Scorer
from pipelines.steps.night import draw_night
from pipelines.steps.stage_checks import StageRun, hold_to_suite
from pipelines.steps.superseded import Why, keep_superseded
from pipelines.storage.digest import ROW_KEY, table_digest
from pipelines.storage.lake import PARTITION_COLUMN

_log = logging.getLogger(__name__)


def score(
    dataset: str,
    partition_key: str,
    *,
    runtime: Runtime,
    model_version: str | None = None,
    why: Why | None = None,
) -> ScoringRecord:
    """Predict every published row of a partition, and make that its predictions.

    The same partition, model and history give the same predictions; a repeat changes nothing. Features
    are held to ``expectations/<dataset>_features.yaml`` before they are scored, and predictions to
    ``<dataset>_predictions.yaml`` before they are written, where there are such suites: rows that break
    them are in quarantine, and have no prediction. Predictions that others take the place of are kept
    (:mod:`~pipelines.steps.superseded`).

    Parameters
    ----------
    dataset, partition_key : str
        The partition; it must have been validated.
    model_version : str, optional
        A registered version; the champion by default.
    why : Why, optional
        Who has predictions made anew, and why, where that is asked for.

    Returns
    -------
    ScoringRecord
        Also in the ledger. Of another version than the champion at the start, where it moved meanwhile.

    Raises
    ------
    ValidationFailed
        If features or predictions are not fit for use; predictions stay as they were.
    NotReadyError
        If there is no champion, or the partition is not published as its validation record says:
        nothing that was not validated is scored.
    IntegrityError
        If the model's bytes are not those that were registered, or it does not repeat its golden
        predictions on this device.
    ConfigError
        If there is no such dataset or version, its features query does not run, or the model is of
        another task than params.yaml asks for.
    """
    started = time.monotonic()
    config = runtime.dataset(dataset)
    version = model_version or _champion(dataset, runtime)
    validation = published_validation(dataset, partition_key, runtime)
    features = features_of(validation, runtime)
    stage = StageRun("features", dataset, partition_key, version, validation.validated_digest or "")
    accepted = hold_to_suite(features, stage, runtime=runtime)
    with Scorer.open(runtime.registry.bundle(dataset, version), runtime.settings.device) as scorer:
        _log.info("Scoring %s %s with version %s on %s.", dataset, partition_key, version, scorer.device)
        predicted = predict(scorer, accepted, config, progress=_log_progress)
    predictions = with_predictions(accepted.select([ROW_KEY, "event_time"]), predicted, config)
    predictions = predictions.append_column("model_version", pa.repeat(version, accepted.num_rows))
    published = hold_to_suite(predictions, replace(stage, stage="predictions"), runtime=runtime)
    keep_superseded(dataset, partition_key, published, runtime=runtime, why=why)
    written = runtime.lake.replace(dataset, "predictions", partition_key, published)
    record = ScoringRecord(
        dataset=dataset,
        partition_key=partition_key,
        model_version=version,
        bundle_digest=scorer.digest,
        validated_digest=validation.validated_digest or "",
        features_digest=table_digest(features),
        predictions_digest=written.digest,
        n_rows=written.n_rows,
        n_withheld=features.num_rows - written.n_rows,
        device=scorer.device,
        delta_version=written.delta_version,
        duration_seconds=time.monotonic() - started,
    )
    runtime.ledger.record(record)
    if model_version is None and _champion(dataset, runtime) != version:
        # It moved meanwhile: what a slow process wrote last must not stand against a rollback.
        _log.warning("The champion of %s moved while it scored %s: once more.", dataset, partition_key)
        return score(dataset, partition_key, runtime=runtime, why=why)
    draw_night(dataset, partition_key, runtime=runtime)
    return record


def _champion(dataset: str, runtime: Runtime) -> str:
    champion = runtime.ledger.champions.present(dataset)
    if champion is None:
        raise NotReadyError(f"{dataset} has no champion yet: train a model and promote it first.")
    return champion.model_version


def published_validation(dataset: str, partition_key: str, runtime: Runtime) -> ValidationRecord:
    """Return the verdict by which a partition is published; NotReadyError where there is none."""
    validation = runtime.ledger.latest(ValidationRecord, dataset, partition_key)
    if validation is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been validated: "
            f"run `holdfast validate {dataset} {partition_key}`."
        )
    if validation.outcome == "refused":
        reasons = "; ".join(validation.reasons) or "see its record"
        raise NotReadyError(
            f"{dataset} {partition_key} was refused by validation ({reasons}); it is not scored."
        )
    return validation


def features_of(validation: ValidationRecord, runtime: Runtime) -> pa.Table:
    """Return the features of a partition, having made sure that they are of the rows that were validated."""
    dataset, partition_key = validation.dataset, validation.partition_key
    config = runtime.dataset(dataset)
    features = load_features(
        runtime.lake, dataset, config=config, project=runtime.settings.project, partitions=[partition_key]
    )
    events = runtime.lake.read(dataset, "validated", partitions=[partition_key])
    # Looked at after the features were read: a partition that had changed before shows now.
    if table_digest(events.drop_columns([PARTITION_COLUMN])) != validation.validated_digest:
        raise NotReadyError(
            f"{dataset} {partition_key} holds other rows than were validated: "
            "validate it again, then score it."
        )
    return features


def _log_progress(n_done: int, n_rows: int) -> None:
    _log.info("%d of %d rows scored.", n_done, n_rows)
