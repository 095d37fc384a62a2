"""Nights without drift that alarm, and drift that is seen: Evidently's defaults and ours, on the same nights.

Each setting has eight references of 60 days; of each, 50 calm nights are judged, and 13 that drifted in one
column. Ours is the whole verdict on a night's data: every column's values, nulls and new levels, and all
columns together. Evidently's is its default rule for references of more than 1,000 rows (a normed Wasserstein
or Jensen-Shannon distance of 0.1 or more in half of the columns, against 5,000 rows of the reference),
computed by scipy as Evidently does; on the first night of each setting it is asked itself, and must agree.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats
from scipy.spatial.distance import jensenshannon

from pipelines.config import DatasetConfig
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.reference_sketch import sketch_reference
from pipelines.monitoring.significance.findings import Findings
from pipelines.monitoring.significance.judge import Judge
from pipelines.monitoring.sketch.cells import Floats
from pipelines.monitoring.window import Window
from pipelines.records import partition_range, shift_partition

N_REFERENCES, N_NIGHTS, N_DAYS = 8, 50, 60
FIRST = "2013-01-01"
_EVIDENTLY_ROWS, _EVIDENTLY_LIMIT, _EVIDENTLY_SHARE = 5_000, 0.1, 0.5
# Every so many nights one drifts as well.
_DRIFT_EVERY = 4


@dataclass(frozen=True)
class Setting:
    """A kind of table, and what drift is put into its first column.

    ``day_noise`` is the variance that days add to rows of variance 1, and ``likeness`` their autocorrelation;
    ``shared`` the correlation of all columns; ``tail`` makes values the exponential of as many deviations.
    ``grown`` is by how much the most frequent level grows; ``shift`` is in deviations of a row.
    """

    name: str
    n_rows: int
    n_numeric: int = 0
    n_categorical: int = 0
    n_levels: int = 0
    shift: float = 0.0
    grown: float = 1.0
    window_days: int = 1
    day_noise: float = 0.0
    likeness: float = 0.0
    shared: float = 0.0
    tail: float = 0.0


def _numeric(n_rows: int, shift: float, **more: float) -> Setting:
    return Setting(f"50 numeric, {n_rows:,} rows", n_rows, n_numeric=50, shift=shift, **more)  # type: ignore[arg-type]


def _categorical(n_levels: int, n_rows: int) -> Setting:
    name = f"20 of {n_levels} levels, {n_rows:,} rows"
    return Setting(name, n_rows, n_categorical=20, n_levels=n_levels, grown=1.5)


SETTINGS = [
    _numeric(100, 1.0),
    _numeric(200, 0.5),
    _numeric(500, 0.3),
    _numeric(2_000, 0.2),
    replace(_numeric(500, 0.5, window_days=7), name="50 numeric, 500 rows in 7"),
    Setting("one critical of 100, 500 rows", 500, n_numeric=100, shift=1.0),
    replace(_numeric(500, 0.3, shared=0.7), name="50 correlated (0.7), 500 rows"),
    replace(_numeric(500, 0.3, tail=1.5), name="50 heavy-tailed, 500 rows"),
    replace(_numeric(500, 5.0, day_noise=0.3, likeness=0.7), name="50, days alike (0.7), 500"),
    replace(
        _numeric(700, 5.0, day_noise=0.3, likeness=0.7, window_days=7), name="50, days alike (0.7), 700 in 7"
    ),
    _categorical(50, 1_000),
    _categorical(200, 1_000),
    replace(_categorical(50, 200), grown=2.0),
    replace(_categorical(200, 200), grown=2.5),
]


@dataclass
class Tally:
    """Which nights of a setting alarmed: by Evidently, by any column of it, and by our verdict."""

    calm: list[tuple[bool, bool, bool]] = field(default_factory=list)
    drifted: list[tuple[bool, bool, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Nights:
    """Draws the days of one setting, one after the other."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self._setting = setting
        self._random = np.random.default_rng(seed)
        self._day = FIRST
        self._state = self._random.normal(size=max(setting.n_numeric, 1))

    def draw(self, n_days: int, *, shift: float = 0.0, grown: float = 1.0) -> pa.Table:
        """Return the next days; a shift is of the first column only."""
        setting, per_day = self._setting, max(1, self._setting.n_rows // self._setting.window_days)
        days = partition_range(self._day, shift_partition(self._day, n_days - 1))
        self._day = shift_partition(self._day, n_days)
        table: dict[str, object] = {"partition_key": np.repeat(days, per_day)}
        numbers = np.concatenate([self._numbers(per_day) for _ in days])
        for number in range(setting.n_numeric):
            values = numbers[:, number] + (shift if number == 0 else 0.0)
            table[f"n{number}"] = np.exp(setting.tail * values) if setting.tail else values
        for number in range(setting.n_categorical):
            table[f"c{number}"] = self._levels(per_day * n_days, grown if number == 0 else 1.0)
        return pa.table(table)

    def _numbers(self, n_rows: int) -> Floats:
        setting, random = self._setting, self._random
        likeness = setting.likeness
        news = random.normal(size=self._state.shape)
        self._state = likeness * self._state + np.sqrt(1 - likeness**2) * news
        own = random.normal(size=(n_rows, setting.n_numeric))
        common = random.normal(size=(n_rows, 1))
        rows = np.sqrt(setting.shared) * common + np.sqrt(1 - setting.shared) * own
        return np.asarray(rows + np.sqrt(setting.day_noise) * self._state[: setting.n_numeric])

    def _levels(self, n_rows: int, grown: float) -> pa.DictionaryArray:
        shares = 1 / np.arange(1, self._setting.n_levels + 1)
        shares /= shares.sum()
        top = shares[0] * grown
        shares = np.concatenate([[top], shares[1:] * (1 - top) / (1 - shares[0])])
        codes = self._random.choice(self._setting.n_levels, n_rows, p=shares).astype(np.int32)
        names = [f"level {number}" for number in range(self._setting.n_levels)]
        return pa.DictionaryArray.from_arrays(codes, names)


def main() -> None:
    """Print one line a setting."""
    print(f"{'':32}{'calm nights that alarm':>36}{'drifted nights seen':>36}")
    print(
        f"{'':32}{'Evidently':>12}{'any column':>12}{'ours':>12}{'Evidently':>12}{'column':>12}{'ours':>12}"
    )
    # References are independent of each other; processes are spawned, since libraries here have threads.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for setting, tally in _run_all(pool):
            _print(setting, tally)
    print(
        "Evidently: its alarm of the dataset, and beside it whether any column (the one that moved) drifted."
    )


def _print(setting: Setting, tally: Tally) -> None:
    shares = [float(share) for kind in (tally.calm, tally.drifted) for share in np.mean(kind, axis=0)]
    drift = f"{setting.shift:g} sd" if setting.n_numeric else f"top level x {setting.grown:g}"
    print(
        f"  {setting.name:30}{''.join(f'{share:12.1%}' for share in shares)}   {drift}; "
        f"{len(tally.calm)} and {len(tally.drifted)} nights, {np.median(tally.seconds):.2f} s each",
        flush=True,
    )


def _run_all(pool: Executor) -> Iterator[tuple[Setting, Tally]]:
    tasks = {
        setting: [pool.submit(run, setting, seed) for seed in range(N_REFERENCES)] for setting in SETTINGS
    }
    for setting, parts in tasks.items():
        whole = Tally()
        for part in parts:
            tally = part.result()
            whole.calm += tally.calm
            whole.drifted += tally.drifted
            whole.seconds += tally.seconds
        yield setting, whole


def run(setting: Setting, seed: int) -> Tally:
    """Judge the nights of one reference of a setting."""
    tally = Tally()
    nights = Nights(setting, seed)
    table = nights.draw(N_DAYS)
    config = _config(setting)
    moved = config.features.columns[0]
    evidently = _evidently(table, config, seed)
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(_reference(table, config, seed), config, Path(folder))
        for number in range(N_NIGHTS):
            calm = nights.draw(setting.window_days)
            began = time.perf_counter()
            ours = _judged(judge, calm).is_alarm
            tally.seconds.append(time.perf_counter() - began)
            theirs = evidently(calm)
            tally.calm.append((_is_evidently_alarm(theirs), any(theirs.values()), ours))
            if number % _DRIFT_EVERY == 0:
                drifted = nights.draw(setting.window_days, shift=setting.shift, grown=setting.grown)
                seen = any(drift.column == moved for drift in _judged(judge, drifted).drifted)
                theirs = evidently(drifted)
                tally.drifted.append((_is_evidently_alarm(theirs), theirs[moved], seen))
            if not seed and not number:
                _check(evidently(calm), table, calm, config)
    return tally


def _is_evidently_alarm(drifted: dict[str, bool]) -> bool:
    return float(np.mean(list(drifted.values()))) >= _EVIDENTLY_SHARE


def _judged(judge: Judge, table: pa.Table) -> Findings:
    empty = table.slice(0, 0)
    days = table["partition_key"]
    return judge.findings(Window(table, empty, empty, empty, days[0].as_py(), days[-1].as_py()))


def _config(setting: Setting) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {
            "description": setting.name,
            "task": "binary",
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "columns": {"row": "integer"},
            "target": "target",
            "labels": {"target": "integer"},
            "features": {
                "sql": "rows.sql",
                "numeric": [f"n{number}" for number in range(setting.n_numeric)],
                "categorical": [f"c{number}" for number in range(setting.n_categorical)],
            },
            "monitoring": {"window_days": setting.window_days},
        }
    )


def _reference(table: pa.Table, config: DatasetConfig, seed: int) -> Reference:
    """Return the reference of a model without skill: predictions and labels are not what is tried here."""
    zeros = pa.array(np.zeros(table.num_rows))
    table = table.append_column("prediction", zeros).append_column("target", zeros)
    sketch = sketch_reference(table, table.slice(0, 0), config)
    kept = min(table.num_rows, config.monitoring.reference_rows)
    rows = np.sort(np.random.default_rng(seed).choice(table.num_rows, kept, replace=False))
    return Reference(table.take(rows), f"{seed}", sketch.days, sketch.holdout)


def _evidently(table: pa.Table, config: DatasetConfig, seed: int) -> Callable[[pa.Table], dict[str, bool]]:
    """Return a function that says of each column whether Evidently's default rule calls it drifted."""
    rows = _evidently_rows(table, seed)
    numbers = {name: rows[name].to_numpy() for name in config.features.numeric}
    norms = {name: max(float(np.std(values)), 0.001) for name, values in numbers.items()}
    levels = {name: rows[name].to_pandas().value_counts() for name in config.features.categorical}

    def judge(window: pa.Table) -> dict[str, bool]:
        found = {}
        for name, values in numbers.items():
            distance = stats.wasserstein_distance(values, window[name].to_numpy()) / norms[name]
            found[name] = bool(distance >= _EVIDENTLY_LIMIT)
        for name, before in levels.items():
            now = window[name].to_pandas().value_counts()
            both = before.index.union(now.index)
            shares = [side.reindex(both, fill_value=0) / side.sum() for side in (before, now)]
            found[name] = bool(jensenshannon(*shares) >= _EVIDENTLY_LIMIT)
        return found

    return judge


def _evidently_rows(table: pa.Table, seed: int) -> pa.Table:
    kept = min(table.num_rows, _EVIDENTLY_ROWS)
    rows = table.take(np.random.default_rng(seed).choice(table.num_rows, kept, replace=False))
    return rows.unify_dictionaries()


def _check(drifted: dict[str, bool], table: pa.Table, night: pa.Table, config: DatasetConfig) -> None:
    from pipelines.monitoring.evidently_report.default_rule import evidently_default

    theirs = evidently_default(_evidently_rows(table, 0), night, config)
    assert theirs is not None
    assert abs(theirs.fraction - np.mean(list(drifted.values()))) < 1e-9, "Evidently's rule is another one"
