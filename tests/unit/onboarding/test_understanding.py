"""Time, key, target, task, leaks and features of tables of many shapes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from pipelines.errors import ConfigError
from pipelines.onboarding.understanding import Asked, understand

TODAY = date(2021, 4, 1)
N = 600
HOURS = [datetime(2021, 1, 4) + timedelta(hours=2 * n) for n in range(N)]
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=N)


def text(values):
    return [str(value) for value in values]


def table(**columns):
    """Return a table of two-hourly rows with a measure, a place and a target, and what is asked beside."""
    base = {
        "at": [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in HOURS],
        "heat": text(NOISE.round(4)),
        "place": [("north", "south")[n % 2] for n in range(N)],
        "demand": text((3 * NOISE + RNG.normal(size=N)).round(4)),
    }
    return {name: cells for name, cells in (base | columns).items() if cells is not None}


@pytest.mark.parametrize(
    ("columns", "time", "meaning"),
    [
        pytest.param({}, "at", "the timestamp at", id="one-column"),
        pytest.param(
            {"at": None, "Date": [f"{m:%d/%m/%Y}" for m in HOURS], "Time": [f"{m:%H.%M.%S}" for m in HOURS]},
            """try_strptime("Date" || ' ' || "Time", '%d/%m/%Y %H.%M.%S')""",
            "Date and Time together",
            id="a-date-and-a-time-of-day",
        ),
        pytest.param(
            {"at": None, "day": [f"{m:%Y-%m-%d}" for m in HOURS], "hr": [str(m.hour) for m in HOURS]},
            """TRY_CAST("day" AS TIMESTAMP) + to_hours(TRY_CAST("hr" AS BIGINT))""",
            "hr as its hour",
            id="a-date-and-an-hour",
        ),
        pytest.param(
            {
                "at": None,
                "year": [str(m.year) for m in HOURS],
                "month": [str(m.month) for m in HOURS],
                "day": [str(m.day) for m in HOURS],
                "hour": [str(m.hour) for m in HOURS],
            },
            """try_strptime(concat_ws('-', "year", "month", "day", "hour"), '%Y-%m-%d-%H')""",
            "made of year, month, day, hour",
            id="parts",
        ),
        pytest.param(
            {"at": None, "ts": [str(int(m.replace(tzinfo=UTC).timestamp())) for m in HOURS]},
            """make_timestamp(TRY_CAST("ts" AS BIGINT) * 1000000)""",
            "seconds since 1970",
            id="epoch-seconds",
        ),
        pytest.param(
            {"at": None, "ts": [str(int(m.replace(tzinfo=UTC).timestamp() * 1000)) for m in HOURS]},
            """make_timestamp(TRY_CAST("ts" AS BIGINT) * 1000)""",
            "milliseconds since 1970",
            id="epoch-milliseconds",
        ),
    ],
)
def test_the_time_is_found_in_one_column_or_several(make_sample, columns, time, meaning):
    moment = understand(make_sample(table(**columns)), Asked(target="demand"), today=TODAY).moment
    assert moment.sql == time
    assert meaning in moment.meaning
    assert (moment.first, moment.n_days, moment.n_null) == (date(2021, 1, 4), 50, 0)
    assert moment.has_hours


@pytest.mark.parametrize(
    ("asked", "time"),
    [
        pytest.param("none", None, id="none"),
        pytest.param("at", "at", id="a-column"),
        pytest.param('TRY_CAST("at" AS TIMESTAMP)', 'TRY_CAST("at" AS TIMESTAMP)', id="an-expression"),
    ],
)
def test_a_person_can_say_what_the_time_is(make_sample, asked, time):
    moment = understand(make_sample(table()), Asked(target="demand", time=asked), today=TODAY).moment
    assert (moment.sql if moment else None) == time


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(Asked(target="demnd"), "Did you mean `demand`", id="target-with-a-typo"),
        pytest.param(Asked(target="demand", time="heat"), "gives no time", id="time-that-is-none"),
        pytest.param(
            Asked(target="demand", time="no such ("), "gives no time", id="time-that-does-not-compile"
        ),
        pytest.param(
            Asked(target="demand", key=("nix",)), "--key: the table has no column", id="unknown-key"
        ),
        pytest.param(Asked(target="at"), "a time can't be predicted", id="time-as-target"),
        pytest.param(Asked(target="demand", task="binary"), "different values, not two", id="wrong-task"),
        pytest.param(Asked(target="demand", task="ranking"), "none of binary", id="unknown-task"),
        pytest.param(Asked(target="place", task="regression"), "no numbers", id="regression-of-words"),
        pytest.param(
            Asked(target="place", task="multiclass"), "has 2 different values", id="multiclass-of-two"
        ),
        pytest.param(
            Asked(target="demand", key=("demand",)), "can't be part of the key", id="target-in-the-key"
        ),
        pytest.param(Asked(target="empty"), "no value at all", id="empty-target"),
        pytest.param(Asked(target="same"), "one value only", id="constant-target"),
    ],
)
def test_what_does_not_fit_is_said(make_sample, asked, words):
    sample = make_sample(table(empty=[None] * N, same=["1"] * N))
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        understand(sample, asked, today=TODAY)


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        pytest.param({}, ("at",), id="the-time-alone"),
        pytest.param({"order_id": [f"A{n}" for n in range(N)]}, ("order_id",), id="an-id"),
        pytest.param({"counter": text(range(7, N + 7))}, ("counter",), id="a-running-number"),
        pytest.param(
            {"at": [f"{HOURS[n // 2]:%Y-%m-%d %H:%M}" for n in range(N)]},
            ("at", "place"),
            id="time-and-place",
        ),
        pytest.param(
            {"at": [f"{HOURS[n // 4]:%Y-%m-%d %H:%M}" for n in range(N)]}, (), id="nothing-tells-rows-apart"
        ),
    ],
)
def test_the_smallest_key_is_found(make_sample, columns, key):
    found = understand(make_sample(table(**columns)), Asked(target="demand"), today=TODAY)
    assert found.key.columns == key
    assert any("nothing tells" in doubt for doubt in found.doubts) is (key == ())


@pytest.mark.parametrize(
    ("n_again", "later", "key", "n_corrected"),
    [
        pytest.param(12, timedelta(0), ("order_id",), 12, id="corrections"),
        pytest.param(12, timedelta(days=60), ("at",), 0, id="other-events-of-the-same-numbers"),
        pytest.param(200, timedelta(0), (), 0, id="too-many"),
    ],
)
def test_rows_that_come_again_in_a_later_file_leave_the_key_a_key(
    make_sample, n_again, later, key, n_corrected
):
    numbers = [*range(N - n_again), *range(n_again)]
    moments = [
        HOURS[n] + (later if place >= N - n_again else timedelta(0)) for place, n in enumerate(numbers)
    ]
    sample = make_sample(table(at=text(moments), place=None, order_id=text(numbers)))
    sample = replace(sample, starts=(1, N - n_again + 1))
    found = understand(sample, Asked(target="demand"), today=TODAY)
    assert (found.key.columns, found.key.n_corrected) == (key, n_corrected)
    assert any("later file" in doubt for doubt in found.columns.doubts + found.doubts) is (n_corrected > 0)


def test_duplicates_of_a_given_key_are_counted(make_sample):
    found = understand(make_sample(table()), Asked(target="demand", key=("place",)), today=TODAY)
    assert (found.key.columns, found.key.n_duplicates) == (("place",), N)


@pytest.mark.parametrize(
    ("cells", "task", "classes", "kind"),
    [
        pytest.param(["0", "1"], "binary", (), "integer", id="zero-and-one"),
        pytest.param(["1", "2"], "binary", ("1", "2"), "integer", id="one-and-two"),
        pytest.param(["yes", "no"], "binary", ("no", "yes"), "string", id="yes-and-no"),
        pytest.param([">50K", "<=50K"], "binary", ("<=50K", ">50K"), "string", id="more-than"),
        pytest.param(["True", "False"], "binary", ("False", "True"), "string", id="true-and-false"),
        pytest.param(["plum", "fig", "fig"], "binary", ("fig", "plum"), "string", id="the-rarer-one"),
        pytest.param(["a", "b", "c"], "multiclass", ("a", "b", "c"), "string", id="three-words"),
        pytest.param(["3", "1", "2"], "multiclass", ("1", "2", "3"), "integer", id="three-numbers"),
        pytest.param(text(range(40)), "regression", (), "integer", id="many-numbers"),
        pytest.param(["0.5", "1.5", "2.25"], "regression", (), "float", id="fractions"),
    ],
)
def test_task_and_classes_follow_from_the_targets_values(make_sample, cells, task, classes, kind):
    target = [cells[n * 7 % len(cells)] for n in range(N)]
    found = understand(make_sample(table(demand=target)), Asked(target="demand"), today=TODAY).target
    assert (found.task, found.classes, found.kind) == (task, classes, kind)


def test_a_target_is_guessed_by_its_name_or_its_place(make_sample):
    named = understand(
        make_sample(table(price=text(RNG.normal(size=N)), other=text(NOISE))), Asked(), today=TODAY
    )
    assert named.target.name == "price"
    last = understand(make_sample(table(demand=None, zeta=text(RNG.normal(size=N)))), Asked(), today=TODAY)
    assert last.target.name == "zeta"
    assert any("guessed" in doubt for doubt in last.doubts)


def test_a_table_with_nothing_to_predict_is_refused(make_sample):
    with pytest.raises(ConfigError, match="No column can be predicted"):
        understand(make_sample({"at": table()["at"]}), Asked(), today=TODAY)


A, B, C = (RNG.integers(0, 50, N) for _ in range(3))


@pytest.mark.parametrize(
    ("target", "leaks"),
    [
        pytest.param(A + B, ["a", "b"], id="a-sum-of-two"),
        pytest.param(A - B, ["a", "b"], id="a-difference"),
        pytest.param(B - A, ["a", "b"], id="the-other-difference"),
        pytest.param(A * B, ["a", "b"], id="a-product"),
        pytest.param(A + B - C, ["a", "b", "c"], id="three"),
        pytest.param(2 * A + 3 * B + 4.5 * C, ["a", "b", "c"], id="a-weighted-sum"),
        pytest.param(A * 10 + 3, ["a"], id="a-copy-in-another-unit"),
        pytest.param(np.exp(A / 10), ["a"], id="a-monotone-function"),
        pytest.param(A + B + NOISE * 9, [], id="nothing"),
    ],
)
def test_what_determines_the_target_is_kept_out(make_sample, target, leaks):
    sample = make_sample(table(demand=text(np.asarray(target, dtype=float)), a=text(A), b=text(B), c=text(C)))
    found = understand(sample, Asked(target="demand"), today=TODAY)
    assert sorted(found.leaks.columns) == leaks
    assert not {*leaks} & {*found.numeric, *found.categorical}


def test_a_word_or_a_threshold_that_determines_a_class_is_kept_out(make_sample):
    failed = ["yes" if value > 0 else "no" for value in NOISE]
    code = ["E7" if value > 0 else f"ok{n % 3}" for n, value in enumerate(NOISE)]
    found = understand(
        make_sample(table(demand=None, failed=failed, code=code)), Asked(target="failed"), today=TODAY
    )
    assert found.leaks.columns == ["heat", "code"]


def test_what_all_but_determines_the_target_is_a_question(make_sample):
    sample = make_sample(table(demand=text(NOISE + RNG.normal(size=N) * 0.05)))
    found = understand(sample, Asked(target="demand"), today=TODAY)
    assert found.leaks.columns == []
    assert any("all but determines" in doubt for doubt in found.doubts)


def test_names_of_what_is_known_later_are_a_question(make_sample):
    found = understand(
        make_sample(table(actual_cost=text(RNG.normal(size=N)))), Asked(target="demand"), today=TODAY
    )
    assert any(doubt.startswith("actual_cost: by the name") for doubt in found.doubts)


def test_columns_that_teach_nothing_are_no_features_and_it_is_said_why(make_sample):
    sample = make_sample(
        table(
            constant=["x"] * N,
            note=[f"{n} of many" for n in range(N)],
            yr=text(moment.year for moment in HOURS[: N // 2]) + ["2022"] * (N // 2),
            nothing=[""] * N,
            shipped=[f"{moment:%Y-%m-%d}" for moment in HOURS],
        )
    )
    found = understand(sample, Asked(target="demand"), today=TODAY)
    assert found.left_out["constant"] == "constant"
    assert found.left_out["note"] == "names its row"
    assert found.left_out["shipped"] == "a time"
    assert "yr" in found.left_out
    assert "nothing" not in {column.name for column in found.inputs}
    assert (found.numeric, found.categorical) == (["heat"], ["place"])


def test_a_column_that_is_null_for_weeks_gaps_and_age_are_told(make_sample):
    late = [str(n) if n > N - 60 else "" for n in range(N)]
    moments = [moment + timedelta(days=9 * (n > N / 2)) for n, moment in enumerate(HOURS)]
    sample = make_sample(table(at=[f"{m:%Y-%m-%d %H:%M}" for m in moments], late=late))
    doubts = "\n".join(understand(sample, Asked(target="demand"), today=date(2022, 4, 1)).doubts)
    assert "late is null on every day from 2021-01-04" in doubts
    assert "1 gaps in the days, the longest of 8 day(s)" in doubts
    assert "replay_year" in doubts


@pytest.mark.parametrize(
    ("n_days", "split", "window"),
    [pytest.param(5, "rows", 1, id="few-days"), pytest.param(50, "time", 8, id="many-days")],
)
def test_training_and_monitoring_fit_the_number_of_days(make_sample, n_days, split, window):
    n = 12 * n_days
    sample = make_sample({name: cells[:n] for name, cells in table().items()})
    plan = understand(sample, Asked(target="demand"), today=TODAY).plan
    assert (plan.split, plan.window_days) == (split, window)
    assert plan.holdout_days < plan.min_days or split == "rows"
    assert plan.min_days <= n_days
