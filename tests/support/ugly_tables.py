"""Made-up tables, each written as badly as some well-known real one is.

Every maker writes its files below a folder and says what a person would tell ``dataset add``, how many
rows the table has, and a night that can be scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DAYS = 70
FIRST = datetime(2021, 1, 4)
Maker = Callable[[Path], "UglyTable"]


@dataclass(frozen=True)
class UglyTable:
    """One table on disk.

    Parameters
    ----------
    location : str
        What ``dataset add`` is pointed at, below the folder of sources.
    options : tuple of str
        What a person says beside: ``--target`` and so on.
    n_rows : int
        The rows of the table, bad ones and those without a target included.
    has_time : bool
        Whether its rows have dates; then they are those of :data:`DAYS` days from :data:`FIRST`.
    """

    location: str
    options: tuple[str, ...]
    n_rows: int
    has_time: bool = True


def no_header(folder: Path) -> UglyTable:
    """Write comma-separated numbers with an ISO date first and not one name."""
    rng, lines = np.random.default_rng(1), []
    for moment in _hours(6):
        x, y = rng.normal(size=2)
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S},{x:.4f},{y:.4f},{2 * x - y + rng.normal(0, 0.3):.4f}")
    return _text(folder, "sensor.data", lines, options=("--target", "column3"))


def semicolons_and_decimal_commas(folder: Path) -> UglyTable:
    """Write day-first dates, times with dots, empty last columns and empty last rows."""
    rng, lines = np.random.default_rng(2), ["Date;Time;CO(GT);T;RH;NOx(GT);;"]
    for moment in _hours(8):
        heat = 15 + 8 * np.sin(moment.hour / 4) + rng.normal()
        carbon = -200 if rng.random() < 0.03 else round(0.1 * heat + abs(rng.normal()), 1)
        cells = [f"{carbon}", f"{heat:.1f}", f"{rng.uniform(20, 80):.1f}", f"{5 * heat:.0f}"]
        lines.append(f"{moment:%d/%m/%Y;%H.%M.%S};" + ";".join(cells).replace(".", ",") + ";;")
    n_rows = len(lines) - 1
    return _text(
        folder, "AirQuality.csv", [*lines, *[";;;;;;;"] * 20], n_rows=n_rows, options=("--target", "T")
    )


def question_marks(folder: Path) -> UglyTable:
    """Write a census-like table: no header, no time, a space after each comma, `?` for missing."""
    rng, lines = np.random.default_rng(3), []
    for _ in range(900):
        age, hours = rng.integers(17, 90), rng.integers(10, 80)
        work = rng.choice(["Private", "State-gov", "Self-emp-inc", "?"], p=[0.7, 0.15, 0.1, 0.05])
        degree = rng.choice(["HS-grad", "Bachelors", "Masters", "11th"])
        is_rich = age + hours + 20 * (degree == "Masters") + rng.normal(0, 12) > 100
        cells = [age, work, rng.integers(10_000, 900_000), degree, hours, ">50K" if is_rich else "<=50K"]
        lines.append(", ".join(map(str, cells)))
    return _text(folder, "adult.data", lines, has_time=False, options=("--target", "column5"))


def latin_1(folder: Path) -> UglyTable:
    """Write a header with degrees and category levels with accents, in latin-1."""
    rng, lines = np.random.default_rng(4), ["Date,Rented Bike Count,Hour,Temperature(°C),Saison,Météo"]
    for moment in _hours(12):
        heat = 10 + 10 * np.sin(moment.hour / 4) + rng.normal()
        count = max(0, round(20 * heat + rng.normal(0, 20)))
        weather = rng.choice(["Ensoleillé", "Brumeux", "Neige"])
        lines.append(f"{moment:%d/%m/%Y},{count},{moment.hour},{heat:.1f},Été,{weather}")
    return _text(folder, "vélos.csv", lines, encoding="latin-1", options=("--target", "Rented Bike Count"))


def duplicate_timestamps(folder: Path) -> UglyTable:
    """Write local times with the hour that came twice, rows without any key, and month-first dates."""
    rng, lines = np.random.default_rng(5), ["holiday,temp,clouds_all,weather_main,date_time,traffic_volume"]
    for moment in _hours(6):
        for _ in range(1 + (rng.random() < 0.1)):
            busy = 3000 + 1500 * np.sin(moment.hour / 4) + rng.normal(0, 200)
            sky = rng.choice(["Clouds", "Clear", "Rain"])
            heat = rng.normal(280, 8)
            lines.append(
                f"None,{heat:.2f},{rng.integers(0, 100)},{sky},{moment:%m/%d/%Y %I:%M %p},{busy:.0f}"
            )
    return _text(folder, "traffic.csv", lines, options=("--target", "traffic_volume"))


def null_for_a_year(folder: Path) -> UglyTable:
    """Write year, month, day and hour in columns of their own, and a sensor that began late."""
    rng, lines = np.random.default_rng(6), ["No,year,month,day,hour,pm2.5,DEWP,TEMP,cbwd,Iws,late_sensor"]
    for number, moment in enumerate(_hours(6), start=1):
        wind = rng.choice(["NW", "SE", "cv"])
        dew, heat = rng.normal(0, 8), rng.normal(12, 9)
        dust = "NA" if rng.random() < 0.05 else f"{max(1, 90 + 3 * dew - heat + rng.normal(0, 9)):.0f}"
        late = "NA" if number < 360 else f"{rng.normal():.2f}"
        stamp = f"{moment.year},{moment.month},{moment.day},{moment.hour}"
        lines.append(f"{number},{stamp},{dust},{dew:.0f},{heat:.1f},{wind},{rng.exponential(9):.2f},{late}")
    return _text(folder, "beijing.csv", lines, options=("--target", "pm2.5", "--key", "No"))


def labels_apart(folder: Path) -> UglyTable:
    """Write the measurements in one file and what became of them in another."""
    rng = np.random.default_rng(7)
    lines, labels = ["id,taken_at,s1,s2"], ["id,failed"]
    for number, moment in enumerate(_hours(8)):
        one, two = rng.normal(size=2)
        lines.append(f"{number},{moment:%Y-%m-%dT%H:%M:%SZ},{one:.4f},{two:.4f}")
        labels.append(f"{number},{'yes' if one + two + rng.normal(0, 0.7) > 1 else 'no'}")
    (folder / "outcomes.csv").write_text("\n".join(labels) + "\n")
    apart = ("--labels", str(folder / "outcomes.csv"), "--labels-key", "id")
    return _text(folder, "machines.csv", lines, options=("--target", "failed", "--key", "id", *apart))


def no_time(folder: Path) -> UglyTable:
    """Write quoted headers, semicolons and three classes, and not one date."""
    rng, lines = np.random.default_rng(8), ['"fixed acidity";"pH";"alcohol";"quality"']
    for _ in range(600):
        acid, alcohol = rng.normal(8, 1.5), rng.normal(10, 1)
        score = alcohol - 0.4 * acid + rng.normal(0, 0.4)
        grade = "good" if score > 7.4 else "bad" if score < 6.2 else "fair"
        lines.append(f'{acid:.1f};{rng.normal(3.3, 0.1):.2f};{alcohol:.1f};"{grade}"')
    return _text(folder, "winequality.csv", lines, has_time=False, options=("--target", "quality"))


def many_rows_of_parquet(folder: Path) -> UglyTable:
    """Write 300,000 trips as Parquet, with times, nulls and a column of one value."""
    rng, n_rows = np.random.default_rng(9), 300_000
    seconds = np.sort(rng.integers(0, DAYS * 86_400, n_rows))
    distance = rng.exponential(3, n_rows)
    fare = 3 + 2.5 * distance + rng.normal(0, 1, n_rows)
    table = pa.table(
        {
            "VendorID": rng.integers(1, 3, n_rows),
            "tpep_pickup_datetime": np.datetime64(FIRST, "us") + seconds.astype("timedelta64[s]"),
            "passenger_count": pa.array(
                rng.integers(1, 6, n_rows).astype(float), mask=rng.random(n_rows) < 0.04
            ),
            "trip_distance": distance.round(2),
            "store_and_fwd_flag": ["N"] * n_rows,
            "PULocationID": rng.integers(1, 265, n_rows),
            "fare_amount": fare.round(2),
        }
    )
    pq.write_table(table, folder / "trips.parquet")
    return UglyTable("trips.parquet", ("--target", "fare_amount"), n_rows)


def row_names(folder: Path) -> UglyTable:
    """Write a header one cell shorter than the rows, all text quoted, as R does."""
    rng, lines = np.random.default_rng(10), ['"date","Temperature","CO2","Occupancy"']
    for number, moment in enumerate(_hours(8), start=1):
        gas = rng.normal(600, 150)
        is_there = int(gas + rng.normal(0, 60) > 700)
        lines.append(f'"{number}","{moment:%Y-%m-%d %H:%M:%S}",{rng.normal(20, 1):.2f},{gas:.1f},{is_there}')
    return _text(folder, "occupancy.txt", lines, options=("--target", "Occupancy"))


def runs_of_spaces(folder: Path) -> UglyTable:
    """Write columns that are lined up by spaces, a tab, quoted names and `?`; no header, no time."""
    rng, lines = np.random.default_rng(11), []
    for number in range(400):
        weight = rng.normal(3000, 600)
        power = "?" if rng.random() < 0.02 else f"{weight / 30 + rng.normal(0, 9):.1f}"
        mileage = 45 - weight / 140 + rng.normal(0, 2)
        lines.append(f'{mileage:4.1f}   {rng.integers(4, 9)}   {power:<10} {weight:7.0f}.\t"car {number}"')
    return _text(folder, "auto-mpg.data", lines, has_time=False, options=("--target", "column0"))


def preamble_and_newlines(folder: Path) -> UglyTable:
    """Write a report's title above the header, notes with line breaks, UTF-16, and thousands marks."""
    rng = np.random.default_rng(12)
    lines = ["Monthly export", "made by the till;v2", "", "Day;Shop;Notes;Guests;Turnover"]
    for moment in _hours(4):
        guests = rng.poisson(120)
        turnover = f"{1000 + 12.5 * guests + rng.normal(0, 90):,.2f}"
        note = '"all well;\nno ""incidents"""' if rng.random() < 0.1 else "ok"
        lines.append(f"{moment:%d %b %Y};S{rng.integers(1, 5)};{note};{guests};{turnover}")
    n_rows = len(lines) - 4
    return _text(
        folder,
        "till.csv",
        lines,
        n_rows=n_rows,
        encoding="utf-16",
        options=("--target", "Turnover", "--time", "Day"),
    )


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        no_header,
        semicolons_and_decimal_commas,
        question_marks,
        latin_1,
        duplicate_timestamps,
        null_for_a_year,
        labels_apart,
        no_time,
        many_rows_of_parquet,
        row_names,
        runs_of_spaces,
        preamble_and_newlines,
    )
}


def _hours(per_day: int) -> list[datetime]:
    step = 24 // per_day
    return [FIRST + timedelta(days=day, hours=step * n) for day in range(DAYS) for n in range(per_day)]


def _text(
    folder: Path,
    name: str,
    lines: list[str],
    *,
    options: tuple[str, ...],
    n_rows: int | None = None,
    encoding: str = "utf-8",
    has_time: bool = True,
) -> UglyTable:
    (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding)
    has_header = not name.endswith(".data")
    rows = n_rows if n_rows is not None else len(lines) - has_header
    return UglyTable(name, options, rows, has_time)
