"""A small made-up business whose world can be changed by script, and nights of it as monitoring sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.config import DatasetConfig
from pipelines.features.encoding import fit_encoding
from pipelines.monitoring.bugs import find_bugs
from pipelines.monitoring.consequence.importance import permutation_importance
from pipelines.monitoring.consequence.triage import Triage, triage
from pipelines.monitoring.performance.concept import judge_performance
from pipelines.monitoring.performance.estimation import fit_estimator
from pipelines.monitoring.reference import read_reference
from pipelines.monitoring.significance.judge import Judge
from pipelines.monitoring.sketch import sketch_days
from pipelines.monitoring.window import Window
from pipelines.records import partition_range, shift_partition
from pipelines.training.candidates import fit_candidate

Floats = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[np.generic]]

FIRST, N_DAYS, N_HOLDOUT, N_VALID, ROWS_A_DAY = "2013-01-01", 60, 14, 6, 600
NUMERIC = ("heat", "load", "age", "amount", "noise", "drizzle")
CATEGORICAL = ("site", "shop")
SITES, SHOPS = ("north", "south", "east", "west"), tuple(f"shop {n:02d}" for n in range(20))
SITE_EFFECT = {"north": -0.8, "south": -0.2, "east": 0.3, "west": 0.9}


@dataclass(frozen=True)
class World:
    """How rows come about; each field is one thing that a shift may change.

    ``heat``, ``load`` and ``age`` are (mean, sd), their ``effect`` that of one standard deviation of before.
    """

    heat: tuple[float, float] = (60.0, 8.0)
    load: tuple[float, float] = (20.0, 4.0)
    age: tuple[float, float] = (40.0, 10.0)
    amount: tuple[float, float] = (3.0, 0.5)
    noise: tuple[float, float] = (0.0, 1.0)
    drizzle: float = 0.3
    effect: dict[str, float] = field(default_factory=lambda: {"heat": 1.2, "load": 0.8, "age": 0.2})
    site_effect: dict[str, float] = field(default_factory=lambda: dict(SITE_EFFECT))
    sites: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SITES, 0.25))
    shops: dict[str, float] = field(
        default_factory=lambda: {name: 1.0 / (n + 2) for n, name in enumerate(SHOPS)}
    )
    base: float = -0.5
    label_noise: float = 0.0
    # Of the cases, those that are decided by something that no column tells.
    hidden: float = 0.0
    n_rows: int = ROWS_A_DAY
    # Rows change after they came about, before anyone sees them: a fault on the way, or a mere habit.
    spoil: Callable[[Columns, np.random.Generator], Columns] | None = None

    def rows(self, day: str, seed: int = 0) -> pa.Table:
        """Return a day's rows with their target."""
        random = np.random.default_rng([seed, *day.encode()])
        n = self.n_rows
        # Days differ a little, as days do.
        wobble = dict(zip(NUMERIC, random.normal(0, 0.05, len(NUMERIC)), strict=True))
        columns: Columns = {
            name: mean + sd * (random.normal(size=n) + wobble[name])
            for name, (mean, sd) in (("heat", self.heat), ("load", self.load), ("age", self.age))
        }
        columns["amount"] = np.exp(
            self.amount[0] + self.amount[1] * (random.normal(size=n) + wobble["amount"])
        )
        columns["noise"] = self.noise[0] + self.noise[1] * (random.normal(size=n) + wobble["noise"])
        columns["drizzle"] = np.where(random.random(n) < self.drizzle, random.exponential(size=n), 0.0)
        columns["site"], columns["shop"] = _drawn(self.sites, n, random), _drawn(self.shops, n, random)
        chance = self.chance(columns)
        happened = random.random(n) < chance
        happened ^= random.random(n) < self.label_noise
        is_hidden = random.random(n) < self.hidden
        happened = np.where(is_hidden, random.random(n) < float(chance.mean()), happened)
        if self.spoil:
            columns = self.spoil(columns, random)
        return pa.table(
            {
                "row_id": [f"{day}|{number:05d}" for number in range(n)],
                "partition_key": [day] * n,
                **{name: pa.array(columns[name], from_pandas=True) for name in (*NUMERIC, *CATEGORICAL)},
                "y": happened.astype(np.float64),
            }
        )

    def chance(self, columns: Columns) -> Floats:
        """Return how likely each row is a positive."""
        before = {"heat": (60.0, 8.0), "load": (20.0, 4.0), "age": (40.0, 10.0)}
        score = np.full(len(columns["site"]), self.base)
        for name, (mean, sd) in before.items():
            score += self.effect[name] * (columns[name].astype(np.float64) - mean) / sd
        score += np.array([self.site_effect.get(str(name), 0.0) for name in columns["site"]])
        return np.asarray(1 / (1 + np.exp(-score)))

    def changed(self, **changes: object) -> World:
        """Return the world with some things changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def _drawn(shares: dict[str, float], n: int, random: np.random.Generator) -> npt.NDArray[np.generic]:
    weights = np.array(list(shares.values()))
    return np.array(list(shares), dtype=object)[random.choice(len(shares), n, p=weights / weights.sum())]


class Watch:
    """A model of the calm world, and what monitoring makes of any night of any world."""

    def __init__(self, folder: Path) -> None:
        self.config = configuration()
        days = partition_range(FIRST, shift_partition(FIRST, N_DAYS - 1))
        self.next_day = shift_partition(days[-1], 1)
        table = pa.concat_tables([World().rows(day) for day in days])
        n_seen = N_DAYS - N_HOLDOUT
        train, valid = _of(table, days[: n_seen - N_VALID]), _of(table, days[n_seen - N_VALID : n_seen])
        self.model = fit_candidate(
            "hist_gradient_boosting",
            train,
            valid,
            config=self.config,
            encoding=fit_encoding(train, self.config.features),
            seed=1,
        )
        is_holdout = pc.is_in(table["partition_key"], pa.array(days[n_seen:]))
        path = folder / "reference.parquet"
        pq.write_table(self.scored(table).append_column("is_holdout", is_holdout), path)
        self.reference = read_reference(path, self.config)
        self.judge = Judge(self.reference, self.config, folder / "calibration")
        self.estimator = fit_estimator(self.reference.holdout, self.config)
        self._seen: dict[str, object] = {}

    @cached_property
    def importances(self) -> dict[str, float]:
        """Of the features to the model."""
        return permutation_importance(self.model.predict, self.reference.holdout, self.config)

    def scored(self, rows: pa.Table) -> pa.Table:
        """Return rows with the model's predictions."""
        return rows.append_column("prediction", pa.array(self.model.predict(rows)))

    def triages(self, rows: pa.Table, nights: list[str]) -> list[tuple[Triage, Triage]]:
        """Return for each night what it means with labels that are a day old, and without any.

        Parameters
        ----------
        rows : pyarrow.Table
            Of all days up to the last night and of two weeks before the first, scored.
        """
        found, known = [], {True: (), False: ()}
        for night in nights:
            window = self._window(rows, night)
            findings = self.judge.findings(window)
            newest = shift_partition(night, -1)
            concept = judge_performance(window.labelled, self.reference.holdout, self.config, newest=newest)
            estimate = self.estimator.estimate(window.predictions)
            grid = self.reference.days.grid.select(self.config.features.columns)
            bugs = find_bugs(
                self.reference.days,
                sketch_days(window.features, grid),
                findings.drifted,
                self.config,
                known=known[True],
            )
            known[True] = bugs
            both = [
                triage(
                    findings,
                    concept=concept if is_labelled else None,
                    estimate=estimate,
                    bugs=bugs,
                    importances=self.importances,
                    config=self.config,
                )
                for is_labelled in (True, False)
            ]
            found.append((both[0], both[1]))
        return found

    def _window(self, rows: pa.Table, night: str) -> Window:
        n_days = self.config.monitoring.window_days
        days = partition_range(shift_partition(night, 1 - n_days), night)
        mature = [shift_partition(day, -1) for day in days]
        labelled = _of(rows, mature)
        now = _of(rows, days)
        return Window(
            features=now.drop_columns(["prediction", "y"]),
            predictions=now.select(["row_id", "partition_key", "prediction"]),
            labels=labelled.select(["row_id", "partition_key", "y"]),
            labelled=labelled.select(["row_id", "partition_key", "prediction", "y"]),
            first=days[0],
            last=days[-1],
        )


def pages(nights: list[Triage], config: DatasetConfig) -> bool:
    """Return whether someone is paged on any night: at once if critical, else on enough nights."""
    monitoring = config.monitoring
    for number, night in enumerate(nights):
        last = nights[max(0, number + 1 - monitoring.persistence_window) : number + 1]
        n_loud = sum(one.is_page for one in last)
        if night.is_page and (night.severity == "critical" or n_loud >= monitoring.persistence_nights):
            return True
    return False


def configuration() -> DatasetConfig:
    """Return the dataset's configuration."""
    return DatasetConfig.model_validate(
        {
            "description": "Does y happen?",
            "task": "binary",
            "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
            "columns": {**dict.fromkeys(NUMERIC, "float"), **dict.fromkeys(CATEGORICAL, "string")},
            "target": "y",
            "labels": {"y": "integer"},
            "features": {"sql": "rows.sql", "numeric": NUMERIC, "categorical": CATEGORICAL},
            "training": {"max_iterations": 80},
        }
    )


def _of(rows: pa.Table, days: list[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["partition_key"], pa.array(days)))
