"""Score a night in the champion's shadow: challengers before their gates, and the champion before.

Nobody is given what is predicted here: it is kept in a table of its own, ``shadow_predictions``, until the
night's labels say who would have done better.
"""

from __future__ import annotations

import logging
import time

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import HoldfastError, NotReadyError
from pipelines.records import ScoringRecord, ShadowScoringRecord
from pipelines.runtime import Runtime
from pipelines.scoring.outcome import predict, with_predictions
from pipelines.scoring.scorer import Scorer
from pipelines.steps.paired_rows import SHADOW_TABLE
from pipelines.steps.score import features_of, published_validation
from pipelines.steps.shadow_state import challengers_in_shadow
from pipelines.steps.watch_state import watched_move, watched_nights
from pipelines.storage.digest import ROW_KEY, table_digest

_log = logging.getLogger(__name__)


def shadow(dataset: str, partition_key: str, *, runtime: Runtime) -> tuple[ShadowScoringRecord, ...]:
    """Score a night with every version that is in the champion's shadow on it.

    They score the very rows that the champion's predictions are of. A repeat changes nothing; a night that
    is scored again is scored again in the shadow, too.

    Parameters
    ----------
    dataset, partition_key : str
        The night; it must have been scored.

    Returns
    -------
    tuple of ShadowScoringRecord
        One a version, also in the ledger; none where no version is in the shadow, or where another version
        than the present champion has scored the night.

    Raises
    ------
    NotReadyError
        If the night has not been scored, or other rows are published since.
    IntegrityError
        If a model's bytes are not those that were registered; the other versions have scored the night.
    """
    scoring = runtime.ledger.latest(ScoringRecord, dataset, partition_key)
    if scoring is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been scored: run `holdfast score {dataset} {partition_key}`."
        )
    versions = versions_in_shadow(dataset, scoring, runtime=runtime)
    if not versions:
        return ()
    features = _scored_features(scoring, runtime)
    records, errors = [], []
    for version in versions:
        # What is wrong with one of them must not keep the others from being compared.
        try:
            records.append(_score(version, features, scoring, runtime))
        except HoldfastError as error:
            _log.error("v%s could not score %s in the shadow: %s", version, partition_key, error)
            errors.append(error)
    if errors:
        raise errors[0]
    return tuple(records)


def versions_in_shadow(dataset: str, scoring: ScoringRecord, *, runtime: Runtime) -> tuple[str, ...]:
    """Return the versions that score a night beside the one that scored it: the former champion first."""
    move = runtime.ledger.champions.present(dataset)
    if move is None or move.model_version != scoring.model_version:
        return ()
    night = scoring.partition_key
    watched = watched_move(dataset, runtime=runtime)
    former = []
    if watched is not None and night > watched.after:
        nights = watched_nights(watched, runtime=runtime)
        if night in nights or len(nights) < runtime.dataset(dataset).promotion.watch_nights:
            former.append(watched.former_version)
    challengers = challengers_in_shadow(dataset, night, runtime=runtime)
    return tuple(dict.fromkeys([*former, *challengers]))


def _scored_features(scoring: ScoringRecord, runtime: Runtime) -> pa.Table:
    """Return the features of the rows that have a published prediction."""
    dataset, night = scoring.dataset, scoring.partition_key
    validation = published_validation(dataset, night, runtime)
    if validation.validated_digest != scoring.validated_digest:
        raise NotReadyError(
            f"{dataset} {night} was published anew after it was scored: "
            f"run `holdfast score {dataset} {night}` first."
        )
    features = features_of(validation, runtime)
    public = runtime.lake.read(dataset, "predictions", partitions=[night], columns=[ROW_KEY])
    return features.filter(pc.is_in(features[ROW_KEY], value_set=public[ROW_KEY]))


def _score(version: str, features: pa.Table, scoring: ScoringRecord, runtime: Runtime) -> ShadowScoringRecord:
    started = time.monotonic()
    dataset, night = scoring.dataset, scoring.partition_key
    config = runtime.dataset(dataset)
    with Scorer.open(runtime.registry.bundle(dataset, version), runtime.settings.device) as scorer:
        _log.info("Scoring %s %s in the shadow with v%s on %s.", dataset, night, version, scorer.device)
        predicted = predict(scorer, features, config)
    rows = with_predictions(features.select([ROW_KEY, "event_time"]), predicted, config)
    rows = rows.append_column("model_version", pa.repeat(version, rows.num_rows))

    def put(present: pa.Table) -> pa.Table:
        others = present.filter(pc.not_equal(present["model_version"], version))
        return pa.concat_tables([others, rows])

    written = runtime.lake.update(dataset, SHADOW_TABLE, night, put, schema=rows.schema)
    record = ShadowScoringRecord(
        dataset=dataset,
        partition_key=night,
        model_version=version,
        beside=scoring.model_version,
        bundle_digest=scorer.digest,
        validated_digest=scoring.validated_digest,
        predictions_digest=table_digest(rows),
        n_rows=rows.num_rows,
        device=scorer.device,
        delta_version=written.delta_version,
        duration_seconds=time.monotonic() - started,
    )
    runtime.ledger.record(record)
    return record
