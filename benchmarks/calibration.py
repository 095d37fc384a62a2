"""What calibrating on a few days does to the log-loss of the fortnight after: always, and where proven.

Every candidate is trained up to six dates of 2013. Each is then also distorted (twice as sure, half as sure,
half a log-odd too high), to see whether a calibration that is needed is found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bundle.description import Calibration
from pipelines.config import DatasetConfig
from pipelines.features.encoding import fit_encoding
from pipelines.features.query import load_features
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.steps.validate import validate_range
from pipelines.training.candidates import (
    PARAMETERS,
    FittedCandidate,
    calibrate,
    calibration_slice,
    fit_candidate,
)
from pipelines.training.candidates.calibration import apply_calibration, fit_calibration, weights_and_groups
from pipelines.training.examples import split_days

DATASET, YEAR = "flights", ("2013-01-01", "2013-11-05")
_LAST_DAYS = ("2013-04-10", "2013-05-20", "2013-06-30", "2013-08-10", "2013-09-20", "2013-11-05")
_HOLDOUT_DAYS = 14
_DISTORTIONS = {
    "as it comes": (1.0, 0.0),
    "twice as sure": (2.0, 0.0),
    "half as sure": (0.5, 0.0),
    "half a log-odd too high": (1.0, 0.5),
}


class _Case(NamedTuple):
    candidate: FittedCandidate
    slice: pa.Table
    holdout: pa.Table


def main() -> None:
    """Print a line for each distortion."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        print("Preparing: ten months of flights, by the project's own pipeline; then 18 models.", flush=True)
        config, examples = runtime.dataset(DATASET), _examples(runtime)
        cases = list(_cases(examples, config))
    print(f"{'':26}{'used':>10}{'gain, where proven':>20}{'worst':>10}{'gain, always':>16}{'worst':>10}")
    for name, (slope, shift) in _DISTORTIONS.items():
        used, proven, always = zip(*(_gains(case, slope, shift, config) for case in cases), strict=True)
        print(
            f"  {name:24}{sum(used):4} of {len(used):2}{np.mean(proven):20.4f}{min(proven):10.4f}"
            f"{np.mean(always):16.4f}{min(always):10.4f}"
        )


def _examples(runtime: Runtime) -> pa.Table:
    ingest_range(DATASET, *YEAR, runtime=runtime)
    validate_range(DATASET, *YEAR, runtime=runtime)
    config, days = runtime.dataset(DATASET), sorted(runtime.lake.partition_keys(DATASET, "validated"))
    features = load_features(
        runtime.lake, DATASET, config=config, project=runtime.settings.project, partitions=days
    )
    labels = runtime.lake.read(DATASET, "labels", partitions=days)
    place = pc.index_in(features["row_id"], labels["row_id"].combine_chunks())
    happened = labels[config.target].cast(pa.float64()).take(place)
    return features.append_column(config.target, happened).filter(pc.is_valid(happened))


def _cases(examples: pa.Table, config: DatasetConfig) -> Iterator[_Case]:
    days = sorted(pc.unique(examples["partition_key"]).to_pylist())[config.features.history_days :]
    for last in _LAST_DAYS:
        split = split_days([day for day in days if day <= last], _HOLDOUT_DAYS)
        train, valid, holdout = (_of(examples, part) for part in (split.train, split.valid, split.holdout))
        valid, newest = calibration_slice(valid, config=config)
        encoding = fit_encoding(train, config.features)
        for name in PARAMETERS:
            fitted = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=1)
            yield _Case(fitted, newest, holdout)


def _of(examples: pa.Table, days: list[str]) -> pa.Table:
    return examples.filter(pc.is_in(examples["partition_key"], value_set=pa.array(days)))


def _gains(case: _Case, slope: float, shift: float, config: DatasetConfig) -> tuple[bool, float, float]:
    """Return whether the calibration is used, and what it gains where it is proven, and where always used."""
    distorted = apply_calibration(case.candidate, Calibration(slope=slope, intercepts=(shift,)))
    mended = calibrate(distorted, case.slice, config=config)
    happened = case.slice[config.target].to_numpy().astype(np.int64)
    weights, _ = weights_and_groups(case.slice, config)
    always = apply_calibration(distorted, fit_calibration(distorted.score(case.slice), happened, weights))
    before = _log_loss(distorted, case.holdout, config)
    assert mended.calibration is not None
    return (
        mended.calibration.is_used,
        before - _log_loss(mended, case.holdout, config),
        before - _log_loss(always, case.holdout, config),
    )


def _log_loss(candidate: FittedCandidate, rows: pa.Table, config: DatasetConfig) -> float:
    scores, happened = candidate.score(rows), rows[config.target].to_numpy()
    return float((np.logaddexp(0.0, scores) - happened * scores).mean())


if __name__ == "__main__":
    main()
