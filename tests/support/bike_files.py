"""Hourly rentals, made up, in the columns of the UCI Bike Sharing table; some days are bad on purpose."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import PROJECT_ROOT

HEADER = (
    "instant,dteday,season,yr,mnth,hr,holiday,weekday,workingday,weathersit,temp,atemp,hum,windspeed,"
    "casual,registered,cnt"
)


def bike_rows(first: date, n_days: int, *, seed: int = 1) -> list[list[str]]:
    """Return the cells of every hour of some days."""
    chance = random.Random(seed)
    rows = []
    for n, hour in itertools.product(range(n_days), range(24)):
        day = first + timedelta(days=n)
        weekday = day.isoweekday() % 7
        is_working = 0 < weekday < 6
        temp = 0.3 + 0.02 * hour * (24 - hour) / 24 + chance.uniform(-0.05, 0.05)
        casual = int(40 * temp * (1.5 - is_working) + chance.uniform(0, 5))
        registered = int(150 * temp * (1 + (hour in (8, 17, 18))) * (6 < hour < 22) + chance.uniform(0, 9))
        cells = [
            n * 24 + hour + 1,
            day.isoformat(),
            1 + day.month % 12 // 3,
            day.year - 2011,
            day.month,
            hour,
        ]
        cells += [0, weekday, int(is_working), chance.choice((1, 1, 1, 2, 2, 3)), f"{temp:.2f}"]
        cells += [f"{temp - 0.02:.4f}", f"{chance.uniform(0.3, 0.9):.2f}", f"{chance.uniform(0, 0.5):.4f}"]
        rows.append(list(map(str, [*cells, casual, registered, casual + registered])))
    return rows


def as_csv(rows: Iterable[list[str]], header: str = HEADER) -> str:
    """Return rows as the text of a CSV file."""
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


# The history that is loaded in one go, and the nights after it.
HISTORY = ("2011-01-01", "2011-02-09")
GOOD_NIGHT = "2011-02-10"
TEXT_NIGHT = "2011-02-11"
DUPLICATE_NIGHT = "2011-02-12"
EMPTY_NIGHT = "2011-02-13"
NARROW_NIGHT = "2011-02-14"
NIGHT_AFTER = "2011-02-15"
# A challenger is to score two nights in the shadow; their labels are there with the third.
SHADOW_NIGHTS, LABELS_NIGHT = ("2011-02-16", "2011-02-17"), "2011-02-18"
WATCHED_NIGHT = "2011-02-19"


def write_bike_files(folder: Path) -> None:
    """Write a file of good days, and one for each night that is bad in a way of its own."""
    folder.mkdir(parents=True)
    rows = bike_rows(date(2011, 1, 1), 50)
    by_day = {day: list(found) for day, found in itertools.groupby(rows, key=lambda row: row[1])}
    text, double = by_day.pop(TEXT_NIGHT), by_day.pop(DUPLICATE_NIGHT)
    del by_day[EMPTY_NIGHT]
    narrow = by_day.pop(NARROW_NIGHT)
    text[3][10] = "warm"
    double.append(list(double[5]))
    (folder / "good.csv").write_text(as_csv(itertools.chain.from_iterable(by_day.values())))
    (folder / "text.csv").write_text(as_csv(text))
    (folder / "double.csv").write_text(as_csv(double))
    without_temp = [name for name in HEADER.split(",") if name != "temp"]
    (folder / "narrow.csv").write_text(
        as_csv([[*row[:10], *row[11:]] for row in narrow], ",".join(without_temp))
    )


def small_params() -> dict[str, Any]:
    """Return the shipped params, with `bikes` on those files: quick to train, two nights in the shadow, and
    approved by a person.

    `flights` is scheduled twice a minute.
    """
    params: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    # The sixth field counts seconds: today's night again and again, for a test of scheduled runs.
    params["datasets"]["flights"]["schedule"] = "* * * * * */30"
    bikes = params["datasets"]["bikes"]
    bikes["enabled"] = True
    bikes["source"]["tables"] = {"hours": "bikes/*.csv"}
    bikes["training"] = {
        "candidates": ["hist_gradient_boosting"],
        "max_iterations": 40,
        "holdout_days": 7,
        "min_days": 20,
    }
    # After the first champion, challengers are trained by hand alone: what drifts is not what is looked at.
    bikes["retraining"] = {"cooldown_days": 365}
    # Any challenger may pass: what the test looks at is what a person decides.
    bikes["promotion"] = {"approval": "human", "mode": "non_inferior", "margin": 1000.0, "shadow_nights": 2}
    return params
