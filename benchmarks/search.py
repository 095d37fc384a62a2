"""A search on real flights against none: what it gains on validation days and holdout, what pruning saves.

For each of several quarters: trained on the days before the holdout, chosen on the validation days, measured
on a holdout of 14 days that neither has seen. The peer is a training without a search.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import PROJECT_ROOT, DatasetConfig, SearchConfig, TrainingRun
from pipelines.features.encoding import fit_encoding
from pipelines.features.query import compute_features, read_query
from pipelines.features.target import encode_target
from pipelines.metrics import evaluate_predictions
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.training.candidates import calibration_slice
from pipelines.training.examples import split_days
from pipelines.training.selection import Fitting, Rows, SelectedModel, select_model

DATASET = "flights"
SPANS = (("2013-01-01", "2013-03-31"), ("2013-04-01", "2013-06-30"), ("2013-07-01", "2013-09-30"))
N_TRIALS = 24


class Outcome(NamedTuple):
    """One training: its AUC on validation days and holdout, CPU seconds, and trials given up."""

    valid: float
    holdout: float
    seconds: float
    n_pruned: int


def main() -> None:
    """Print a line for each quarter and each way to choose."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        config = runtime.dataset(DATASET)
        table = _examples(runtime, config)
    ways = {
        "no search": SearchConfig(),
        f"{N_TRIALS} trials": SearchConfig(trials=N_TRIALS, prune=False),
        f"{N_TRIALS} trials, pruned": SearchConfig(trials=N_TRIALS),
    }
    print(f"{'':44}{'AUC valid':>11}{'holdout':>9}{'CPU s':>8}{'given up':>10}")
    found: dict[str, list[Outcome]] = {way: [] for way in ways}
    for first, last in SPANS:
        for way, search in ways.items():
            outcome = _train(table, partition_range(first, last), _with(config, search))
            found[way].append(outcome)
            print(
                f"  {first} to {last}, {way:18}{outcome.valid:11.4f}{outcome.holdout:9.4f}"
                f"{outcome.seconds:8.1f}{outcome.n_pruned:10}"
            )
    _print_means(found)


def _print_means(found: dict[str, list[Outcome]]) -> None:
    none, whole, pruned = found.values()
    for way, outcomes in list(found.items())[1:]:
        gains = [
            math.fsum(
                getattr(one, name) - getattr(other, name) for one, other in zip(outcomes, none, strict=True)
            )
            / len(none)
            for name in ("valid", "holdout")
        ]
        print(f"  {way}, mean gain over no search: {gains[0]:+.4f} on validation, {gains[1]:+.4f} on holdout")
    saved = 1 - math.fsum(one.seconds for one in pruned) / math.fsum(one.seconds for one in whole)
    print(f"  pruning saves {saved:.0%} of the CPU time")
    # A search starts at the defaults: on the days that it chooses by, it is never worse than none.
    assert all(
        one.valid >= other.valid for way in (whole, pruned) for one, other in zip(way, none, strict=True)
    )


def _examples(runtime: Runtime, config: DatasetConfig) -> pa.Table:
    """Return the flights of all quarters with their features and whether they were late."""
    days = partition_range(SPANS[0][0], SPANS[-1][1])
    # The labels of a day land with the day after.
    ingest_range(DATASET, days[0], "2013-10-01", runtime=runtime)
    events = runtime.lake.read(DATASET, "raw", partitions=days)
    labels = runtime.lake.read(DATASET, "labels", partitions=days)
    sql = read_query(config, PROJECT_ROOT)
    features = compute_features(events, labels, config=config, sql=sql, partitions=days)
    happened = encode_target(labels[config.target], config).values
    happened = happened.take(pc.index_in(features["row_id"], labels["row_id"].combine_chunks()))
    return features.append_column(config.target, happened).filter(pc.is_valid(happened))


def _with(config: DatasetConfig, search: SearchConfig) -> DatasetConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"search": search})})


def _train(table: pa.Table, days: Sequence[str], config: DatasetConfig) -> Outcome:
    split = split_days(days, config.training.holdout_days)
    train, valid, holdout = (_of(table, part) for part in (split.train, split.valid, split.holdout))
    rows = Rows(train, *calibration_slice(valid, config=config))
    fitting = Fitting(rows, config, fit_encoding(train, config.features), config.training.seed)
    start = time.process_time()
    selected = select_model(fitting, TrainingRun(), studies=Path("unused"))
    seconds = time.process_time() - start
    measured = evaluate_predictions(
        holdout[config.target].to_numpy(), selected.best.predict(holdout), config.task
    )
    return Outcome(_valid_auc(selected), measured["auc"], seconds, _n_pruned(selected))


def _valid_auc(selected: SelectedModel) -> float:
    auc: float = selected.told["validation"][selected.told["candidate"]]["auc"]
    return auc


def _n_pruned(selected: SelectedModel) -> int:
    n_pruned: int = selected.told.get("search", {}).get("n_pruned", 0)
    return n_pruned


def _of(rows: pa.Table, days: Sequence[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["partition_key"], pa.array(list(days))))
