"""Alarms on measured performance: how often calm nights raise one, and how soon a lost skill does.

Each setting is simulated anew for every night: a holdout, and the mature labels of a window. Days differ by
more than their rows where the setting says so. The loss (0.25 of an AUC of 0.75; errors of 1.5 times; classes
that come as they like) begins on the newest mature day, and lasts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.monitoring.performance.concept import judge_performance
from pipelines.records import ConceptDrift, partition_range, shift_partition

Floats = npt.NDArray[np.float64]
_FIRST_HELD_OUT, _FIRST = "2013-01-01", "2013-06-01"
_WINDOW_DAYS, _N_NIGHTS, _LASTING_NIGHTS = 7, 400, 3
_LABELS = {"binary": "integer", "regression": "float", "multiclass": "string"}


@dataclass(frozen=True)
class Setting:
    """One kind of table: its task, its rows a day, and how its days differ.

    ``day_deviation`` is how much the skill (of an AUC) or the log of the error's size strays from day to
    day, ``likeness`` the correlation of neighbouring days; ``tail`` the degrees of freedom of a regression's
    errors.
    """

    name: str
    task: str = "binary"
    per_day: int = 300
    holdout_days: int = 14
    holdout_per_day: int = 220
    day_deviation: float = 0.0
    likeness: float = 0.0
    prevalence: float = 0.25
    tail: float = np.inf
    sharpness: float = 1.5


SETTINGS = (
    Setting("AUC, 100 rows a day", per_day=100, holdout_per_day=100),
    Setting("AUC, 300 rows a day"),
    Setting("AUC, 900 rows a day", per_day=900),
    Setting("AUC, 900 rows, 5 % of a class", per_day=900, prevalence=0.05),
    Setting("AUC, holdout of 5 days", holdout_days=5),
    Setting("AUC, holdout of 1 day", holdout_days=1, holdout_per_day=3000),
    Setting("AUC, days differ (sd 0.035)", day_deviation=0.15),
    Setting("AUC, the same, neighbours alike (0.4)", day_deviation=0.15, likeness=0.4),
    Setting("AUC, days differ much (0.055; 0.6)", day_deviation=0.25, likeness=0.6),
    Setting("RMSE", "regression"),
    Setting("RMSE, heavy tails (t of 3)", "regression", tail=3.0),
    Setting("RMSE, days differ (10 %; 0.4)", "regression", day_deviation=0.1, likeness=0.4),
    Setting("log loss of 3 classes", "multiclass"),
    Setting("log loss, days differ (0.4)", "multiclass", day_deviation=0.2, likeness=0.4),
)


def main() -> None:
    """Print the table."""
    print(f"{_N_NIGHTS} nights a figure; a window of {_WINDOW_DAYS} days, labels mature at once.")
    print(f"{'':38s} {'calm nights':>21s}   {'lost skill: first night, 3rd':>29s}")
    print(f"{'':38s} {'alarm':>10s} {'critical':>10s}   {'drift':>9s} {'critical':>9s} {'confirmed':>9s}")
    for setting in SETTINGS:
        print(_line(setting), flush=True)


def _line(setting: Setting) -> str:
    random = np.random.default_rng(20130101)
    config = _config(setting.task)
    calm = [next(_nights(setting, config, random, n_lost=0)) for _ in range(_N_NIGHTS)]
    lost = [list(_nights(setting, config, random, n_lost=_LASTING_NIGHTS)) for _ in range(_N_NIGHTS // 4)]
    first = [nights[0] for nights in lost]
    shares = [
        np.mean([_is_drifted(night) for night in calm]),
        np.mean([_is_critical(night) for night in calm]),
        np.mean([_is_drifted(night) for night in first]),
        np.mean([_is_critical(night) for night in first]),
        np.mean([_is_confirmed(nights) for nights in lost]),
    ]
    figures = "{:>10.2%} {:>10.2%}   {:>9.1%} {:>9.1%} {:>9.1%}".format(*shares)
    return f"{setting.name:38s} {figures}"


def _nights(
    setting: Setting, config: DatasetConfig, random: np.random.Generator, *, n_lost: int
) -> Iterator[ConceptDrift | None]:
    """Yield the verdicts of successive nights; the skill is lost from the newest day of the first on."""
    holdout = _days(setting, random, _FIRST_HELD_OUT, np.zeros(setting.holdout_days, bool), is_holdout=True)
    n_days = _WINDOW_DAYS + max(n_lost - 1, 0)
    is_lost = np.arange(n_days) >= (_WINDOW_DAYS - 1 if n_lost else n_days)
    table = _days(setting, random, _FIRST, is_lost)
    for n in range(max(n_lost, 1)):
        newest = shift_partition(_FIRST, _WINDOW_DAYS - 1 + n)
        yield judge_performance(table, holdout, config, newest=newest)


def _is_drifted(night: ConceptDrift | None) -> bool:
    return night is not None and night.is_drifted


def _is_critical(night: ConceptDrift | None) -> bool:
    return night is not None and night.severity == "critical"


def _is_confirmed(nights: list[ConceptDrift | None]) -> bool:
    """Return whether one of three nights was critical, or two of them drift: what a retraining asks for."""
    return any(map(_is_critical, nights)) or sum(map(_is_drifted, nights)) >= 2


def _days(
    setting: Setting,
    random: np.random.Generator,
    first: str,
    is_lost: npt.NDArray[np.bool_],
    *,
    is_holdout: bool = False,
) -> pa.Table:
    per_day = setting.holdout_per_day if is_holdout else setting.per_day
    keys = partition_range(first, shift_partition(first, is_lost.size - 1))
    strays = setting.day_deviation * _alike(random, is_lost.size, setting.likeness)
    day = np.repeat(np.arange(is_lost.size), per_day)
    make = {"binary": _ranked, "regression": _guessed, "multiclass": _chosen}[setting.task]
    columns = make(setting, random, strays[day], is_lost[day])
    return pa.table({"partition_key": np.repeat(keys, per_day), **columns})


def _alike(random: np.random.Generator, n_days: int, likeness: float) -> Floats:
    """Draw an autoregressive series of variance 1."""
    found = random.normal(size=n_days)
    for n in range(1, n_days):
        found[n] = likeness * found[n - 1] + np.sqrt(1 - likeness**2) * found[n]
    return found


def _ranked(
    setting: Setting, random: np.random.Generator, stray: Floats, is_lost: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    truth = (random.random(stray.size) < setting.prevalence).astype(float)
    score = random.normal(size=stray.size) + truth * np.where(is_lost, 0.0, 0.95 + stray)
    return {"y": truth, "prediction": 1 / (1 + np.exp(-score))}


def _guessed(
    setting: Setting, random: np.random.Generator, stray: Floats, is_lost: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    truth = 3 * random.normal(size=stray.size)
    noise = random.normal(size=stray.size)
    if np.isfinite(setting.tail):
        noise = random.standard_t(setting.tail, size=stray.size)
    return {"y": truth, "prediction": truth + noise * np.exp(stray) * np.where(is_lost, 1.5, 1.0)}


def _chosen(
    setting: Setting, random: np.random.Generator, stray: Floats, is_lost: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    odds = setting.sharpness * random.normal(size=(stray.size, 3))
    real = np.where(is_lost, 0.0, np.exp(stray))[:, None] * odds
    given, happens = (np.exp(o) / np.exp(o).sum(axis=1, keepdims=True) for o in (odds, real))
    truth = (random.random(stray.size)[:, None] > happens.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return {"y": truth.astype(float), **{f"probability_{n}": given[:, n] for n in range(3)}}


def _config(task: str) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {
            "description": "simulated",
            "task": task,
            "classes": ["a", "b", "c"] if task == "multiclass" else [],
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "columns": {"x": "float"},
            "target": "y",
            "labels": {"y": _LABELS[task]},
            "features": {"sql": "rows.sql", "numeric": ["x"]},
            "monitoring": {"window_days": _WINDOW_DAYS},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
