"""How often a challenger that is no better is promoted, and one that is better by two points of AUC.

On real tables, all packaged: the flights of 2013, and the weather at New York's airports (will the wind be
stronger in three hours, and, as a regression, how strong will it be?). Small models of boosted trees learn
the first months. *Alike*: challenger and champion are two of them, of one recipe: another seed, and for half
of them another sample of the rows. *Better*: the champion is worse by about two points of AUC over all later
days: its scores are blurred, or it learned fewer rows, or lacks columns; of a regression, by a tenth of its
lead over the mean. Each time a stretch of later days is drawn, 5,000 rows of it, and the gates of the
comparison decide as in a promotion, for the first challenger on those days. *Poisoned*: a tenth of the labels
that the challenger learned is flipped at random.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.gate_tables import TARGET, Table, flights, weather
from pipelines.config import DatasetConfig, Task
from pipelines.evaluation.label_noise import estimate_label_noise
from pipelines.features.encoding import fit_encoding
from pipelines.metrics import evaluate_predictions, measure_model_effect, primary_metric, sure_training_error
from pipelines.registry import gates
from pipelines.steps.gating.holdout import Floats, Holdout
from pipelines.steps.gating.models import Measured, compare_models
from pipelines.training.candidates import fit_candidate
from pipelines.training.refits import Recipe, refit, spread_of_more_rows

N_ALIKE, N_BETTER, N_POISONED = 1_000, 1_000, 200
N_MODELS, N_ROWS, N_TRAINED, BETTER_BY, BETTER_BY_SHARE = 20, 5_000, 20_000, 0.02, 0.1
# Of so many models each challenger draws those that its own training would have fitted again.
N_REFITS = 40
_GOLDEN = gates.golden_rows(None, device="cpu")


class Decided(NamedTuple):
    """What the gates said of one challenger, and what it gained."""

    is_promoted: bool
    gain: float


@dataclass(frozen=True)
class Models:
    """Predictions of all later rows by the models of one table, and how they are made.

    Of ``refits``, each training has some, by which it tells how much is luck of it.
    """

    table: Table
    alike: list[Floats]
    refits: list[Floats]
    fit: Callable[..., Floats]


def main() -> None:
    """Print, for each table, how many challengers were promoted."""
    print(f"{'':52}{'judged':>8}{'gain':>9}{'promoted':>10}")
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        for table in (flights(folder), weather(), weather(is_regression=True)):
            models = _train(table)
            worse = list(_worse(models))
            for n_days in table.lengths:
                name = f"{table.name}, {n_days} days"
                _print(f"{name}: alike", _alike(models, n_days))
                for how, champions in worse:
                    _print(f"{name}: better, the champion {how}", _against(models, champions, n_days))
            if table.config.task == "binary":
                _poisoned(models)


def _print(title: str, decided: Iterable[Decided]) -> None:
    rows = list(decided)
    promoted, gain = (float(np.mean(column)) for column in zip(*rows, strict=True))
    print(f"{title:52}{len(rows):8,}{gain:+9.4f}{promoted:10.1%}", flush=True)


def _train(table: Table) -> Models:
    def fit(
        seed: int, *, n_rows: int = N_TRAINED, drop: Collection[str] = (), is_resampled: bool = True
    ) -> Floats:
        return _fit(table, _without(table.config, drop), seed, n_rows=n_rows, is_resampled=is_resampled)

    alike = [fit(seed, is_resampled=seed % 2 == 1) for seed in range(N_MODELS)]
    recipe = Recipe("hist_gradient_boosting", {}, seed=1_000)
    evaluation = table.config.evaluation.model_copy(update={"refits": N_REFITS})
    config = table.config.model_copy(update={"evaluation": evaluation})
    refits = [predict(table.later) for predict in refit(table.train, table.valid, recipe, config=config)]
    return Models(table, alike, refits, fit)


def _fit(
    table: Table,
    config: DatasetConfig,
    seed: int,
    *,
    n_rows: int = N_TRAINED,
    rows: pa.Table | None = None,
    is_resampled: bool = True,
) -> Floats:
    """Return what a model of boosted trees, learned from a sample of some rows, says of all later ones."""
    rows = table.train if rows is None else rows
    random = np.random.default_rng(seed if is_resampled else 0)
    chosen = np.sort(random.choice(rows.num_rows, min(n_rows, rows.num_rows), replace=is_resampled))
    train = rows.take(pa.array(chosen))
    model = fit_candidate(
        "hist_gradient_boosting",
        train,
        table.valid,
        config=config,
        encoding=fit_encoding(train, config.features),
        seed=seed,
    )
    return model.predict(table.later)


def _without(config: DatasetConfig, drop: Collection[str]) -> DatasetConfig:
    features = config.features
    kept = {
        kind: tuple(name for name in getattr(features, kind) if name not in drop)
        for kind in ("numeric", "categorical")
    }
    return config.model_copy(update={"features": features.model_copy(update=kept)})


def _alike(models: Models, n_days: int) -> Iterable[Decided]:
    random = np.random.default_rng(1)
    for _ in range(N_ALIKE):
        one, other = random.choice(N_MODELS, 2, replace=False)
        yield _judge(models, (models.alike[one], models.alike[other]), random, n_days)


def _against(models: Models, champions: list[Floats], n_days: int) -> Iterable[Decided]:
    random = np.random.default_rng(2)
    for number in range(N_BETTER):
        # One recipe, seed and sample, but for what makes the champion worse.
        pair = models.alike[number % len(champions)], champions[number % len(champions)]
        yield _judge(models, pair, random, n_days)


def _judge(
    models: Models,
    pair: tuple[Floats, Floats],
    random: np.random.Generator,
    n_days: int,
    flipped: float = 0.0,
) -> Decided:
    """Draw a holdout of later days, and ask the gates of the comparison of challenger and champion."""
    table = models.table
    days = np.unique(table.days)
    first = random.integers(days.size - n_days + 1)
    stretch = np.flatnonzero(np.isin(table.days, days[first : first + n_days]))
    rows = np.sort(random.choice(stretch, min(N_ROWS, stretch.size), replace=False))
    target = table.target[rows]
    target = np.where(random.random(target.size) < flipped, 1 - target, target)
    promotion = table.config.promotion

    chosen = random.choice(N_REFITS, table.config.evaluation.refits, replace=False)
    training_error = _training_error(models, [models.refits[number] for number in chosen], rows, target)

    def compare(by: Sequence[str]) -> gates.Comparison:
        found = _compare(models, rows, target, pair, by)
        return found._replace(training_error=training_error)

    comparison = compare([])
    is_promoted = gates.beats_champion(comparison, config=promotion).is_passed
    if is_promoted:
        # The groups are compared only where it matters: it takes longer than all the rest.
        by_group = compare(table.config.features.categorical)
        is_promoted = gates.no_slice_worse(by_group, config=promotion).is_passed
    return Decided(is_promoted, comparison.gain.gain)


def _compare(
    models: Models, rows: Any, target: Floats, pair: tuple[Floats, Floats], by: Sequence[str]
) -> gates.Comparison:
    table = models.table
    ours, theirs = (guess[rows] for guess in pair)
    task, days, later = table.config.task, table.days[rows], table.later.take(pa.array(rows))
    holdout = Holdout([], later, later, later, target, days, "days")
    values = [_metric(task, target, guess) for guess in (ours, theirs)]
    naive = np.full(target.size, table.train[TARGET].to_numpy().mean())
    measured = Measured(ours, theirs, *values, {"the mean": _metric(task, target, naive)}, _GOLDEN)
    features = table.config.features.model_copy(update={"categorical": tuple(by)})
    config = table.config.model_copy(update={"features": features})
    comparison = compare_models(measured, table.champion, holdout, config)
    assert comparison is not None
    return comparison


def _training_error(models: Models, refits: Sequence[Floats], rows: Any, target: Floats) -> float:
    days, task = models.table.days[rows], models.table.config.task
    effect = measure_model_effect(target, [guess[rows] for guess in refits], days, task)
    return sure_training_error(
        effect.standard_deviation * spread_of_more_rows(min(N_TRAINED, models.table.train.num_rows)),
        effect.ratio,
        n_models=len(refits),
        n_units=np.unique(days).size,
    )


def _metric(task: Task, target: Floats, guess: Floats) -> float:
    return evaluate_predictions(target, guess, task)[primary_metric(task).name]


def _worse(models: Models) -> Iterable[tuple[str, list[Floats]]]:
    """Give champions that are worse over all later rows, made so in several ways.

    By two points of AUC; of a regression by a tenth of the lead over the mean, in one way.
    """
    table, best = models.table, models.alike
    if table.config.task == "regression":
        yield "blurred", [_blurred_numbers(table, guess, seed) for seed, guess in enumerate(best[:8])]
        return
    aim = float(np.mean([_auc(table, guess) for guess in best])) - BETTER_BY
    yield "blurred", [_blurred(table, guess, seed) for seed, guess in enumerate(best[:8])]
    sizes = (500, 1_000, 2_000, 4_000, 8_000)
    few = {size: [models.fit(seed, n_rows=size) for seed in range(4)] for size in sizes}
    size = min(few, key=lambda n: abs(np.mean([_auc(table, guess) for guess in few[n]]) - aim))
    yield f"of {size:,} rows", few[size]
    drop = _columns_worth(models, aim)
    title = f"without {len(drop)} of {len(table.config.features.columns)} columns"
    yield title, [models.fit(seed, drop=drop, is_resampled=seed % 2 == 1) for seed in range(4)]


def _blurred_numbers(table: Table, guess: Floats, seed: int) -> Floats:
    """Return a regression's values with as much noise as costs a tenth of its lead over the mean."""
    error = _metric("regression", table.target, guess)
    aim = error + BETTER_BY_SHARE * (float(table.target.std()) - error)
    noise = np.random.default_rng(seed).normal(size=guess.size)
    return np.asarray(guess + noise * np.sqrt(aim**2 - error**2))


def _columns_worth(models: Models, aim: float) -> list[str]:
    """Return the columns without which a model is about as good as asked for: the least useful go first."""
    table, dropped, found = models.table, [], []
    lacking = {name: _auc(table, models.fit(0, drop=[name])) for name in table.config.features.columns}
    for name in sorted(lacking, key=lacking.__getitem__, reverse=True)[:-1]:
        dropped.append(name)
        found.append(_auc(table, models.fit(0, drop=dropped)))
    best = int(np.argmin(np.abs(np.array(found) - aim)))
    return dropped[: best + 1]


def _blurred(table: Table, guess: Floats, seed: int) -> Floats:
    """Return scores with as much noise as costs two points of AUC."""
    odds = np.log(guess / (1 - guess))
    noise = np.random.default_rng(seed).normal(size=guess.size)
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        blurred = 1 / (1 + np.exp(-(odds + middle * noise)))
        low, high = (middle, high) if _auc(table, blurred) > _auc(table, guess) - BETTER_BY else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(odds + low * noise))))


def _auc(table: Table, guess: Floats) -> float:
    return evaluate_predictions(table.target, guess, "binary")["auc"]


def _poisoned(models: Models) -> None:
    """Print which gate stops challengers that learned flipped labels: the comparison, or that of labels."""
    table, random = models.table, np.random.default_rng(3)
    spoilt = [_flipped(table.train, np.random.default_rng(300 + seed)) for seed in range(4)]
    challengers = [_fit(table, table.config, 300 + seed, rows=rows) for seed, rows in enumerate(spoilt)]
    for where, flipped in (("training", 0.0), ("training and holdout", 0.1)):
        decided = [
            _judge(
                models,
                (challengers[n % 4], models.alike[random.integers(N_MODELS)]),
                random,
                table.lengths[0],
                flipped,
            )
            for n in range(N_POISONED)
        ]
        _print(f"{table.name}: poisoned in {where}, by the comparison", decided)
    encoding = fit_encoding(table.train, table.config.features)
    clean, *noises = (
        estimate_label_noise(rows, table.config, encoding)[0] for rows in (table.train, *spoilt)
    )
    caught = [
        not gates.labels_not_flipped(noise, clean, champion="1", config=table.config.promotion).is_passed
        for noise in noises
    ]
    print(f"{table.name}: poisoned, refused by labels_not_flipped {'':8}{len(caught):8}{sum(caught):>19}")


def _flipped(rows: pa.Table, random: np.random.Generator) -> pa.Table:
    target = rows[TARGET].to_numpy()
    flipped = np.where(random.random(target.size) < 0.1, 1 - target, target)
    return rows.set_column(rows.column_names.index(TARGET), TARGET, pa.array(flipped))
