"""What is looked at of the data of a challenger: its validation, its features, its labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from pipelines.config import DatasetConfig
from pipelines.features.look_ahead import check_look_ahead
from pipelines.features.query import load_features, read_query
from pipelines.features.skew import find_skew
from pipelines.records import (
    ChampionMove,
    GateResult,
    TrainedModel,
    TrainingRecord,
    ValidationRecord,
    partition_range,
    shift_partition,
)
from pipelines.registry import gates
from pipelines.runtime import Runtime
from pipelines.steps.gating.holdout import Holdout, floats, read_targets
from pipelines.storage.digest import ROW_KEY, table_digest
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.snapshot import EVENTS, LABELS, Snapshot, read_partitions

# So many nights are computed anew, spread over the reference.
_N_SKEW_DAYS = 6
_TOLERANCE = 1e-9


def weigh_data(
    training: TrainingRecord, champion: ChampionMove | None, holdout: Holdout, *, runtime: Runtime
) -> tuple[GateResult, ...]:
    """Return the results of every gate on the data that the challenger learned from."""
    trained, config = training.trained, runtime.dataset(training.dataset)
    snapshot, problem = _snapshot(trained, runtime)
    versions = {f"v{training.model_version}": training.model_version}
    if champion is not None:
        versions[f"the champion v{champion.model_version}"] = champion.model_version
    changed = {who: _relabelled(training.dataset, version, runtime) for who, version in versions.items()}
    noises = [runtime.registry.evaluation(training.dataset, version) for version in versions.values()]
    ours, theirs = (found.label_noise if found else None for found in [*noises, None][:2])
    return (
        _data_validated(trained, snapshot, problem, runtime),
        gates.no_look_ahead(_look_ahead(holdout, trained.dataset, runtime), holdout.days),
        gates.no_training_scoring_skew(_skew(training, snapshot, runtime)),
        gates.labels_as_learned(changed, config=config.promotion),
        gates.labels_not_flipped(
            ours,
            theirs,
            champion=champion.model_version if champion else None,
            config=config.promotion,
        ),
    )


def _snapshot(trained: TrainedModel, runtime: Runtime) -> tuple[Snapshot | None, str | None]:
    """Return the days of the training, and why they can't be relied on."""
    text = runtime.registry.lineage(trained, "snapshot.json")
    if text is None:
        return None, "the training left no snapshot.json"
    try:
        snapshot = Snapshot.model_validate_json(text)
    except ValidationError:
        return None, "snapshot.json describes no snapshot"
    is_other = snapshot.digest != trained.snapshot_digest
    return snapshot, "snapshot.json is not the one that was trained on" if is_other else None


def _data_validated(
    trained: TrainedModel, snapshot: Snapshot | None, problem: str | None, runtime: Runtime
) -> GateResult:
    if snapshot is None:
        return gates.data_validated({}, {}, problem=problem)
    records = runtime.ledger.history(ValidationRecord, trained.dataset, last=snapshot.last_partition)
    return gates.data_validated(
        {day.partition_key: day.events_digest for day in snapshot.days},
        {record.partition_key: record for record in records},
        problem=problem,
    )


def _look_ahead(holdout: Holdout, dataset: str, runtime: Runtime) -> list[str]:
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


def _skew(training: TrainingRecord, snapshot: Snapshot | None, runtime: Runtime) -> gates.SkewFound:
    """Compare the reference's features with what the night of each of some days computes."""
    dataset, config = training.dataset, runtime.dataset(training.dataset)
    learned = pq.read_table(runtime.registry.reference(dataset, training.model_version))
    if snapshot is None or PARTITION_COLUMN not in learned.column_names:
        return gates.SkewFound({}, 0, [])
    days = pc.unique(learned[PARTITION_COLUMN]).to_pylist()
    usable, n_restated = _as_they_were(_spread(sorted(days)), snapshot, config, runtime)
    if not usable:
        return gates.SkewFound({}, 0, [], n_restated)
    # One night at a time, as scoring does: a feature may depend on what else is computed with it.
    computed = pa.concat_tables(
        load_features(
            runtime.lake, dataset, config=config, project=runtime.settings.project, partitions=[day]
        )
        for day in usable
    )
    chosen = learned.filter(pc.is_in(learned[PARTITION_COLUMN], pa.array(usable)))
    differing, n_rows = find_skew(chosen, computed, config.features.columns)
    return gates.SkewFound(differing, n_rows, usable, n_restated)


def _as_they_were(
    days: list[str], snapshot: Snapshot, config: DatasetConfig, runtime: Runtime
) -> tuple[list[str], int]:
    """Return the days that are in the lake, with their history, as the training read them; how many not."""
    spans = {day: partition_range(shift_partition(day, -config.features.history_days), day) for day in days}
    needed = sorted({key for span in spans.values() for key in span})
    taken = {entry.partition_key: entry for entry in snapshot.days}
    changed: set[str] = set()
    for table in (EVENTS, LABELS):
        present = {
            key: table_digest(rows)
            for key, rows in read_partitions(runtime.lake, snapshot.dataset, table, needed)
        }
        for key in needed:
            entry = taken.get(key)
            then = None if entry is None else entry.events_digest if table == EVENTS else entry.labels_digest
            if present.get(key) != then:
                changed.add(key)
    usable = [day for day, span in spans.items() if changed.isdisjoint(span)]
    return usable, len(days) - len(usable)


def _spread(days: list[str]) -> list[str]:
    chosen = np.unique(np.linspace(0, len(days) - 1, min(len(days), _N_SKEW_DAYS)).astype(np.int64))
    return [days[number] for number in chosen]


def _relabelled(dataset: str, version: str, runtime: Runtime) -> tuple[int, int]:
    """Return how many rows of a model's reference have another label now, and how many have one."""
    config = runtime.dataset(dataset)
    learned = pq.read_table(runtime.registry.reference(dataset, version))
    if config.target not in learned.column_names or PARTITION_COLUMN not in learned.column_names:
        return 0, 0
    days = pc.unique(learned[PARTITION_COLUMN]).to_pylist()
    labels = read_targets(dataset, sorted(days), config=config, lake=runtime.lake)
    now = floats(labels[config.target].take(pc.index_in(learned[ROW_KEY], labels[ROW_KEY])))
    then = floats(learned[config.target])
    known = np.isfinite(now) & np.isfinite(then)
    differs = ~np.isclose(now[known], then[known], rtol=_TOLERANCE, atol=_TOLERANCE)
    return int(np.count_nonzero(differs)), int(np.count_nonzero(known))
