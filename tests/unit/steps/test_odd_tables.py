"""Tables as nobody would wish for: each is learned from, gated, scored, measured and watched, or refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from odd_tables import OddTable, day, odd_table, open_odd_world, train_in_place

from pipelines.errors import DataError, NotReadyError
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.monitor import monitor
from pipelines.steps.reconcile import reconcile
from pipelines.steps.score import score
from pipelines.steps.stages import read_refusal

N_DAYS = 7
MARKUP = "</script><script>alert(1)</script>"


def _rows(seed: int, n: int = 40) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return pd.DataFrame({"x": x, "c": random.choice(["a", "b"], n), "y": (x > 0).astype(int)})


def _blank(seed: int) -> pd.DataFrame:
    rows = _rows(seed)
    return rows.assign(gone=None, flat=3.5, void=None, c="the same")


def _huge(seed: int) -> pd.DataFrame:
    rows = _rows(seed)
    return rows.assign(
        big=rows["x"] * 1e308, small=rows["x"] * 1e-310, inf=np.where(rows["x"] > 0, np.inf, 1.0)
    )


def _levels(seed: int) -> pd.DataFrame:
    rows = _rows(seed, n=400)
    code = np.random.default_rng(seed).integers(seed * 300, seed * 300 + 1500, size=400)
    return rows.assign(c=[f"{number:05d}" for number in code], d=MARKUP)


def _named(seed: int) -> pd.DataFrame:
    rows = _rows(seed)
    names = np.array(["<b>low</b>", "mid", "high", "never seen"])
    place = np.digitize(rows["x"], [-0.5, 0.5])
    # The last class comes only after the days that are learned from.
    place = np.where(rows.index % 7 == 0, 3, place) if seed >= 5 else place
    return rows.assign(y=names[place])


def _mixed(seed: int) -> pd.DataFrame:
    rows = _rows(seed)
    return rows.assign(
        y=np.where(
            rows.index == 3, None, np.where(rows.index == 4, "maybe", rows["y"].map({0: "no", 1: "yes"}))
        )
    )


def _tables() -> dict[str, OddTable]:
    x, c = ("x",), ("c",)
    quick = {"candidates": ["hist_gradient_boosting"]}
    snapshot = {"split": "rows", "min_days": 1}
    return {
        "blank": odd_table(_blank, N_DAYS, numeric=("x", "gone", "flat"), categorical=("c", "void")),
        "named": odd_table(
            _named,
            N_DAYS,
            categorical=c,
            task="multiclass",
            label="string",
            classes=["<b>low</b>", "mid", "high", "never seen"],
        ),
        "constant": odd_table(
            lambda n: _rows(n).assign(y=4.0), N_DAYS, numeric=x, task="regression", label="float"
        ),
        "levels": odd_table(_levels, N_DAYS, numeric=x, categorical=("c", "d"), training=quick),
        "huge": odd_table(_huge, N_DAYS, numeric=("big", "small", "inf"), categorical=c),
        "mixed": odd_table(_mixed, N_DAYS, numeric=x, label="string", classes=["no", "yes"], training=quick),
        "one_class_held_out": odd_table(
            lambda n: _rows(n).assign(y=1) if n >= 4 else _rows(n), N_DAYS, numeric=x, training=quick
        ),
        "single_rows": odd_table(lambda n: _rows(n, n=1), 24, numeric=x, task="regression"),
        "twenty_rows": odd_table(lambda _: _rows(1, n=20), 2, numeric=x, categorical=c, training=snapshot),
        "snapshots": odd_table(lambda _: _rows(1, n=90), 3, numeric=x, training=snapshot | quick),
        "true_or_false": odd_table(
            lambda n: _rows(n).assign(y=_rows(n)["y"] == 1),
            N_DAYS,
            numeric=x,
            label="boolean",
            training=quick,
        ),
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return open_odd_world(tmp_path_factory.mktemp("odd"), _tables())


@pytest.mark.parametrize("dataset", sorted(_tables()))
def test_an_odd_table_goes_through_the_whole_loop(dataset: str, world: Runtime, tmp_path) -> None:
    n_days = len(_tables()[dataset].days)
    night, before = day(n_days - 1), day(n_days - 2)

    version = train_in_place(dataset, before, world, tmp_path)
    evidence = gate(dataset, version, runtime=world)
    for key in (before, night):
        score(dataset, key, runtime=world, model_version=version)
    performance = reconcile(dataset, night, runtime=world)
    verdict = monitor(dataset, night, runtime=world)

    metrics = json.loads((tmp_path / "workspace" / "outputs" / "metrics.json").read_text())
    assert metrics["parity_error"] < 1e-6
    assert next(result for result in evidence.gates if result.name == "golden_rows").is_passed
    assert next(result for result in evidence.gates if result.name == "no_look_ahead").is_passed
    assert performance is not None
    assert all(math.isfinite(value) for value in performance.metrics.values())
    page = (world.settings.reports / dataset / night / "index.html").read_text()
    assert verdict.model_version == version
    assert "<b>low" not in page
    assert "<script" not in page


def test_one_class_held_out_is_no_ranking_and_passes_no_gate(world: Runtime, tmp_path) -> None:
    version = train_in_place("one_class_held_out", day(5), world, tmp_path)

    evidence = gate("one_class_held_out", version, runtime=world)

    assert math.isnan(evidence.challenger_value)
    assert not evidence.is_passed


def test_labels_that_are_no_class_are_counted_and_told(world: Runtime, tmp_path) -> None:
    version = train_in_place("mixed", day(5), world, tmp_path)
    for key in (day(5), day(6)):
        score("mixed", key, runtime=world, model_version=version)

    performance = reconcile("mixed", day(6), runtime=world)
    verdict = monitor("mixed", day(6), runtime=world)

    metrics = json.loads((tmp_path / "workspace" / "outputs" / "metrics.json").read_text())
    assert metrics["strange_labels"] == {"maybe": 6}
    assert performance is not None
    assert (performance.n_rows, performance.n_strange_labels) == (38, 1)
    assert "'maybe' (3)" in verdict.notes[-1]


@pytest.mark.parametrize(
    ("rows_of", "entry", "kind", "message"),
    [
        pytest.param(lambda n: _rows(n).assign(y=1), {}, DataError, "nothing to tell apart", id="one-class"),
        pytest.param(
            lambda n: _rows(n).assign(y=None if n >= 4 else 1),
            {},
            NotReadyError,
            "no row has a known y",
            id="no-labels",
        ),
        pytest.param(
            lambda n: _rows(n, n=2),
            {"training": {"split": "rows"}},
            NotReadyError,
            "too few to learn from",
            id="two-keys",
        ),
    ],
)
def test_what_can_not_be_learned_from_is_refused_in_words(rows_of, entry, kind, message, tmp_path) -> None:
    runtime = open_odd_world(tmp_path, {"poor": odd_table(rows_of, N_DAYS, numeric=("x",), **entry)})

    with pytest.raises(kind, match=message):
        train_in_place("poor", day(5), runtime, tmp_path / "training")

    # A training that runs under DVC hears of it by a file.
    refused = read_refusal(tmp_path / "training")
    assert type(refused) is kind
    assert message in str(refused)
