"""Put a challenger through every gate, against the present champion, on the challenger's holdout."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from pipelines.errors import IntegrityError, NotReadyError
from pipelines.features.look_ahead import check_look_ahead
from pipelines.features.query import load_features, read_query
from pipelines.features.target import encode_target
from pipelines.metrics import BootstrapGain, evaluate_predictions, paired_day_bootstrap, primary_metric
from pipelines.records import (
    ChampionMove,
    GateRecord,
    GateResult,
    TrainedModel,
    TrainingRecord,
    ValidationRecord,
    partition_range,
    shift_partition,
)
from pipelines.registry import gates
from pipelines.registry.challengers import training_record
from pipelines.runtime import Runtime
from pipelines.scoring.outcome import predict
from pipelines.scoring.scorer import Scorer
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.evaluation import baseline_metrics
from pipelines.training.row_split import HOLDOUT, row_sides, row_units
from pipelines.training.snapshot import Snapshot

Floats = npt.NDArray[np.float64]


# Fixed, so that the same models on the same rows always get the same verdict.
_SEED = 20130101
# Fewer days than this say nothing about how much days differ: groups of rows are resampled then.
_MIN_DAYS = 3


@dataclass(frozen=True)
class _Holdout:
    """The challenger's held-out rows as the lake has them now; those without a label have target nan.

    ``units`` says which rows belong together when luck is measured, ``unit`` in words what they are;
    ``published`` holds the features of all rows of the days, held out or not.
    """

    days: list[str]
    published: pa.Table
    features: pa.Table
    target: Floats
    units: npt.NDArray[Any]
    unit: str


@dataclass(frozen=True)
class _Measured:
    """The primary metric of all three on the same rows, and how sure the difference is."""

    challenger: float
    naive: float
    champion: float | None
    gain: BootstrapGain | None
    golden: GateResult


def gate(dataset: str, model_version: str, *, runtime: Runtime) -> GateRecord:
    """Evaluate every gate for a challenger, and put the evidence on record; a refusal is a value.

    Challenger and champion are scored by the one scorer on the same rows: the challenger's holdout
    (its newest days, or the rows that their keys hold out), with features computed anew from the lake.
    The evidence holds against the champion of this moment. A repeat for the version that such evidence
    made champion returns that evidence.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    NotReadyError
        If none of the holdout's days is in the lake any more.
    IntegrityError
        If the bytes of either model are not those that were trained.
    """
    started = time.monotonic()
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    moves = runtime.ledger.champion_history(dataset)
    champion = moves[-1] if moves else None
    if settled := _settled(training, champion, runtime):
        return settled
    holdout = _load_holdout(training.trained, runtime)
    measured = _measure(training, holdout, champion, runtime)
    results = _evaluate(training, moves, holdout, measured, runtime)
    record = GateRecord(
        dataset=dataset,
        partition_key=training.partition_key,
        model_version=model_version,
        bundle_digest=training.trained.bundle_digest,
        champion_version=champion.model_version if champion else None,
        champion_sequence=champion.sequence if champion else 0,
        metric=primary_metric(runtime.dataset(dataset).task).name,
        challenger_value=measured.challenger,
        champion_value=measured.champion,
        gates=results,
        is_passed=all(result.is_passed for result in results),
        duration_seconds=time.monotonic() - started,
    )
    runtime.ledger.record(record)
    return record


def _settled(training: TrainingRecord, champion: ChampionMove | None, runtime: Runtime) -> GateRecord | None:
    """Return the evidence by which this very night's challenger became the present champion."""
    if champion is None or champion.model_version != training.model_version:
        return None
    evidence = runtime.ledger.find(GateRecord, training.dataset, champion.evidence_digest)
    return evidence if evidence and evidence.partition_key == training.partition_key else None


def _evaluate(
    training: TrainingRecord,
    moves: list[ChampionMove],
    holdout: _Holdout,
    measured: _Measured,
    runtime: Runtime,
) -> tuple[GateResult, ...]:
    config, trained = runtime.dataset(training.dataset), training.trained
    champion = moves[-1] if moves else None
    return (
        gates.challenger_is_not_champion(training.model_version, champion),
        gates.not_rolled_back(training.model_version, moves),
        _data_validated(trained, runtime),
        gates.no_look_ahead(_look_ahead(holdout, trained.dataset, runtime), holdout.days),
        measured.golden,
        gates.beats_naive_baseline(
            measured.challenger,
            measured.naive,
            task=config.task,
            min_gain=config.promotion.min_baseline_gain,
        ),
        gates.beats_champion(
            measured.gain,
            champion=champion.model_version if champion else None,
            task=config.task,
            config=config.promotion,
            unit=holdout.unit,
        ),
    )


def _load_holdout(trained: TrainedModel, runtime: Runtime) -> _Holdout:
    config, lake = runtime.dataset(trained.dataset), runtime.lake
    span = partition_range(trained.holdout_first, trained.last_partition)
    labelled = set(lake.partition_keys(trained.dataset, "labels"))
    present = labelled & set(lake.partition_keys(trained.dataset, "validated"))
    days = [key for key in span if key in present]
    if not days:
        raise NotReadyError(
            f"None of the days {span[0]} to {span[-1]}, on which {trained.dataset} holds its challenger to "
            "account, is in the lake with labels: ingest and validate them again."
        )
    published = features = load_features(
        lake, trained.dataset, config=config, project=runtime.settings.project, partitions=days
    )
    labels = lake.read(trained.dataset, "labels", partitions=days, columns=[ROW_KEY, config.target])
    known = encode_target(labels[config.target], config).values
    target = _floats(known.take(pc.index_in(features[ROW_KEY], labels[ROW_KEY])))
    if config.training.split == "rows":
        is_held_out = _held_out(features[ROW_KEY], np.isfinite(target), config.training.holdout_fraction)
        features, target = features.filter(pa.array(is_held_out)), target[is_held_out]
    if config.training.split == "rows" or len(days) < _MIN_DAYS:
        units, unit = row_units(features[ROW_KEY]), "groups of rows"
    else:
        units, unit = features[PARTITION_COLUMN].to_numpy(), "days"
    return _Holdout(days, published, features, target, units, unit)


def _held_out(row_ids: pa.ChunkedArray, is_labelled: npt.NDArray[np.bool_], fraction: float) -> Any:
    """Return which rows a split by rows holds out, shape (n,): labelled ones only, as training has them."""
    chosen = np.zeros(len(row_ids), dtype=np.bool_)
    chosen[is_labelled] = row_sides(row_ids.filter(pa.array(is_labelled)), fraction) == HOLDOUT
    return chosen


def _measure(
    training: TrainingRecord, holdout: _Holdout, champion: ChampionMove | None, runtime: Runtime
) -> _Measured:
    config = runtime.dataset(training.dataset)
    task = config.task
    metric = primary_metric(task).name

    def measure(predictions: Floats) -> float:
        return evaluate_predictions(holdout.target, predictions, task)[metric]

    seen = _seen(training.trained, runtime)
    naive = baseline_metrics(seen, holdout.target, task, n_classes=len(config.classes))[metric]
    ours, golden = _score_challenger(training, holdout, runtime)
    if champion is None:
        return _Measured(measure(ours), naive, champion=None, gain=None, golden=golden)
    bundle = runtime.registry.bundle(champion.dataset, champion.model_version)
    with Scorer.open(bundle, device=runtime.settings.device) as scorer:
        theirs = predict(scorer, holdout.features, config)
    gain = paired_day_bootstrap(holdout.target, ours, theirs, holdout.units, task, seed=_SEED)
    return _Measured(measure(ours), naive, champion=measure(theirs), gain=gain, golden=golden)


def _score_challenger(
    training: TrainingRecord, holdout: _Holdout, runtime: Runtime
) -> tuple[Floats, GateResult]:
    """Return predictions of the holdout; all nan where the scorer does not repeat the golden rows."""
    bundle = runtime.registry.bundle(training.dataset, training.model_version)
    config, device = runtime.dataset(training.dataset), runtime.settings.device
    try:
        with Scorer.open(bundle, device=device) as scorer:
            return predict(scorer, holdout.features, config), gates.golden_rows(None, device=scorer.device)
    except IntegrityError as error:
        # The bytes are those that were trained: it is the scorer that differs from the library.
        n_columns = (len(config.classes),) if config.task == "multiclass" else ()
        return np.full(holdout.target.shape + n_columns, np.nan), gates.golden_rows(str(error), device=device)


def _seen(trained: TrainedModel, runtime: Runtime) -> Floats:
    """Return the known targets of what is not held out."""
    config = runtime.dataset(trained.dataset)
    is_by_rows = config.training.split == "rows"
    last = trained.last_partition if is_by_rows else shift_partition(trained.holdout_first, -1)
    days = partition_range(trained.first_partition, last)
    labels = runtime.lake.read(trained.dataset, "labels", partitions=days, columns=[ROW_KEY, config.target])
    target = _floats(encode_target(labels[config.target], config).values)
    is_seen = np.isfinite(target)
    if is_by_rows:
        is_seen &= ~_held_out(labels[ROW_KEY], is_seen, config.training.holdout_fraction)
    return target[is_seen]


def _data_validated(trained: TrainedModel, runtime: Runtime) -> GateResult:
    text = runtime.registry.lineage(trained, "snapshot.json")
    if text is None:
        return gates.data_validated({}, {}, problem="the training left no snapshot.json")
    try:
        snapshot = Snapshot.model_validate_json(text)
    except ValidationError:
        return gates.data_validated({}, {}, problem="snapshot.json describes no snapshot")
    tampered = snapshot.digest != trained.snapshot_digest
    records = runtime.ledger.history(ValidationRecord, trained.dataset, last=snapshot.last_partition)
    return gates.data_validated(
        {day.partition_key: day.events_digest for day in snapshot.days},
        {record.partition_key: record for record in records},
        problem="snapshot.json is not the one that was trained on" if tampered else None,
    )


def _look_ahead(holdout: _Holdout, dataset: str, runtime: Runtime) -> list[str]:
    """Return the columns that change when the history after a day is cut off, on a sample of the days."""
    config, lake = runtime.dataset(dataset), runtime.lake
    history = shift_partition(holdout.days[0], -config.features.history_days)
    span = partition_range(history, holdout.days[-1])
    return check_look_ahead(
        lake.read(dataset, "validated", partitions=span),
        lake.read(dataset, "labels", partitions=span),
        config=config,
        sql=read_query(config, runtime.settings.project),
        features=holdout.published,
    )


def _floats(column: pa.ChunkedArray) -> Floats:
    """Return a column as float64, null as nan."""
    array: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return array
