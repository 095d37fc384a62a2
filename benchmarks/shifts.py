"""Twenty harmless and twenty harmful shifts, and data bugs: who is paged, and what is retrained.

Each shift begins one night in a calm made-up business and stays. Each of its first five nights is judged as
monitoring does, once with labels that come a day late and once without any. Whether a shift is harmful is not
declared but measured: on 20,000 rows of the changed world the model's AUC is at least 0.04 less, or not 0.01.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.shift_world import SHOPS, SITES, Columns, Watch, World, pages
from pipelines.metrics import evaluate_predictions
from pipelines.records import partition_range, shift_partition

CALM = World()
N_NIGHTS, N_BEFORE = 5, 14
_HARMFUL_LOSS, _HARMLESS_LOSS, _N_TRUTH = 0.04, 0.01, 20_000

Spoil = Callable[[Columns, np.random.Generator], Columns]


def _column(name: str, change: Callable[..., np.ndarray]) -> Spoil:  # type: ignore[type-arg]
    return lambda columns, random: {**columns, name: change(columns[name], random)}


def _some(share: float, value: object) -> Callable[..., np.ndarray]:  # type: ignore[type-arg]
    return lambda values, random: np.where(random.random(len(values)) < share, value, values)


def _effect(**effects: float) -> dict[str, float]:
    return {**CALM.effect, **effects}


HARMLESS: dict[str, World] = {
    "noise moves by half a deviation": CALM.changed(noise=(0.5, 1.0)),
    "noise moves by two deviations": CALM.changed(noise=(2.0, 1.0)),
    "noise doubles its spread": CALM.changed(noise=(0.0, 2.0)),
    "noise halves its spread": CALM.changed(noise=(0.0, 0.5)),
    "amounts grow by a tenth": CALM.changed(amount=(3.0 + np.log(1.1), 0.5)),
    "amounts grow by a third": CALM.changed(amount=(3.0 + np.log(1.33), 0.5)),
    "amounts spread more": CALM.changed(amount=(3.0, 0.8)),
    "drizzle on twice the days": CALM.changed(drizzle=0.6),
    "drizzle never": CALM.changed(drizzle=0.02),
    "a shop doubles": CALM.changed(shops={**CALM.shops, SHOPS[0]: 1.0}),
    "a shop opens": CALM.changed(shops={**CALM.shops, "shop 99": 0.3}),
    "a shop closes": CALM.changed(shops={k: v for k, v in CALM.shops.items() if k != SHOPS[1]}),
    "all shops change places": CALM.changed(
        shops=dict(zip(SHOPS, [*CALM.shops.values()][::-1], strict=True))
    ),
    "three times the rows": CALM.changed(n_rows=1_800),
    "a third of the rows": CALM.changed(n_rows=200),
    "a season warms by a deviation": CALM.changed(heat=(66.0, 8.0), base=-1.1),
    "people get older": CALM.changed(age=(50.0, 10.0)),
    "a few amounts are null": CALM.changed(spoil=_column("amount", _some(0.05, np.nan))),
    "more positives everywhere": CALM.changed(base=0.0),
    "noise moves, and amounts, and shops": CALM.changed(
        noise=(1.0, 1.0), amount=(3.3, 0.5), shops={**CALM.shops, SHOPS[3]: 1.0}
    ),
}
HARMFUL: dict[str, World] = {
    "heat counts no more": CALM.changed(effect=_effect(heat=0.0)),
    "heat counts half": CALM.changed(effect=_effect(heat=0.5)),
    "heat counts the other way": CALM.changed(effect=_effect(heat=-0.6)),
    "load counts no more": CALM.changed(effect=_effect(load=0.0, heat=1.0)),
    "load counts the other way": CALM.changed(effect=_effect(load=-0.8)),
    "sites trade places": CALM.changed(site_effect={"north": 0.9, "south": 0.3, "east": -0.2, "west": -0.8}),
    "a fifth of the labels are noise": CALM.changed(label_noise=0.2),
    "a third of the cases have hidden reasons": CALM.changed(hidden=0.35),
    "half of the cases have hidden reasons": CALM.changed(hidden=0.5),
    "everything counts half": CALM.changed(effect={"heat": 0.6, "load": 0.4, "age": 0.1}),
    "heat hardly varies": CALM.changed(heat=(60.0, 2.0)),
    "load hardly varies, heat little": CALM.changed(load=(20.0, 0.5), heat=(60.0, 4.0)),
    "heat and load hardly vary": CALM.changed(heat=(60.0, 3.0), load=(20.0, 1.0)),
    "one site only, and heat varies little": CALM.changed(
        sites=dict(zip(SITES, (0.94, 0.02, 0.02, 0.02), strict=True)), heat=(60.0, 5.0)
    ),
    "heat is measured with an error": CALM.changed(
        spoil=_column("heat", lambda values, random: values + 10 * random.normal(size=len(values)))
    ),
    "load is measured with an error": CALM.changed(
        spoil=_column("load", lambda values, random: values + 8 * random.normal(size=len(values)))
    ),
    "heat belongs to other rows": CALM.changed(
        spoil=_column("heat", lambda values, random: random.permutation(values))
    ),
    "heat is all the same beyond a point": CALM.changed(
        heat=(72.0, 4.0), effect=_effect(heat=0.1), base=-1.0
    ),
    "two sites trade places": CALM.changed(site_effect={**CALM.site_effect, "north": 0.9, "west": -0.8}),
    "noise tells, heat no more": CALM.changed(noise=(1.0, 1.0), effect=_effect(heat=0.2)),
}
BUGS: dict[str, World] = {
    "amount in cents": CALM.changed(spoil=_column("amount", lambda values, _: values * 100)),
    "heat in Celsius": CALM.changed(spoil=_column("heat", lambda values, _: (values - 32) / 1.8)),
    "half of the loads are null": CALM.changed(spoil=_column("load", _some(0.5, np.nan))),
    "a third of the heats are -999": CALM.changed(spoil=_column("heat", _some(0.33, -999.0))),
    "a site is renamed": CALM.changed(
        spoil=_column("site", lambda values, _: np.where(values == "west", "WEST_2", values))
    ),
    "heat is stuck": CALM.changed(spoil=_column("heat", lambda values, _: np.full(len(values), 61.5))),
}


def main() -> None:
    """Print who is paged, and make sure that each shift is what it is called."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        watch = Watch(Path(folder))
        promised = _auc(watch, CALM)
        print(f"The model's AUC in its own world: {promised:.3f}. Nights of 600 rows, windows of 7 days.")
        verdicts = {
            kind: {name: _verdict(watch, world) for name, world in worlds.items()}
            for kind, worlds in (("harmless", HARMLESS), ("harmful", HARMFUL), ("bug", BUGS))
        }
        for kind, worlds in (("harmless", HARMLESS), ("harmful", HARMFUL)):
            for name, world in worlds.items():
                loss = promised - _auc(watch, world)
                assert loss >= _HARMFUL_LOSS if kind == "harmful" else loss < _HARMLESS_LOSS, (name, loss)
    for place, title in enumerate(("labels a day late", "no labels at all")):
        _report(title, {kind: {n: v[place] for n, v in found.items()} for kind, found in verdicts.items()})


def _report(title: str, verdicts: dict[str, dict[str, Verdict]]) -> None:
    paged = {
        kind: [name for name, verdict in found.items() if verdict.is_paged]
        for kind, found in verdicts.items()
    }
    n_right, n_wrong = len(paged["harmful"]), len(paged["harmless"])
    precision = n_right / max(1, n_right + n_wrong)
    n_bugs = sum(found.actions["retrain"] > 0 for found in verdicts["bug"].values())
    n_retrained = sum(found.actions["retrain"] > 0 for found in verdicts["harmless"].values())
    print(f"\n{title}:")
    recall = n_right / len(verdicts["harmful"])
    print(f"  paging precision {precision:.2f}, recall {recall:.2f}  (goal 0.9 each)")
    n_silent = sum(set(found.actions) == {"none"} for found in verdicts["harmful"].values())
    print(f"  harmful shifts on which nothing at all is seen: {n_silent}")
    print(f"  harmless shifts that ask for a retraining on any night: {n_retrained}")
    print(f"  bugs: {len(paged['bug'])} of {len(BUGS)} paged, {n_bugs} asked for a retraining  (goal 0)")
    for kind, wrong in (
        ("harmless, and paged", paged["harmless"]),
        ("harmful, and not paged", [name for name in HARMFUL if name not in paged["harmful"]]),
        ("a bug, and not paged", [name for name in BUGS if name not in paged["bug"]]),
    ):
        for name in wrong:
            reason = next(found[name].reason for found in verdicts.values() if name in found)
            print(f"    {kind}: {name}\n      {reason}")


class Verdict(NamedTuple):
    """What a shift led to: whether someone is paged, its nights' actions, and the reason of the last."""

    is_paged: bool
    actions: Counter[str]
    reason: str


def _verdict(watch: Watch, world: World) -> list[Verdict]:
    """Return what a shift leads to with labels, and without."""
    first = shift_partition(watch.next_day, N_BEFORE)
    nights = partition_range(first, shift_partition(first, N_NIGHTS - 1))
    days = [CALM.rows(day) for day in partition_range(watch.next_day, shift_partition(first, -1))]
    rows = watch.scored(pa.concat_tables([*days, *(world.rows(night) for night in nights)]))
    found = watch.triages(rows, nights)
    verdicts = []
    for place in (0, 1):
        seen = [night[place] for night in found]
        loudest = max(seen, key=lambda night: night.is_page)
        actions = Counter(night.action for night in seen)
        verdicts.append(Verdict(pages(seen, watch.config), actions, next(iter(loudest.reasons), "calm")))
    return verdicts


def _auc(watch: Watch, world: World) -> float:
    rows = watch.scored(world.changed(n_rows=_N_TRUTH).rows("truth"))
    found = evaluate_predictions(rows["y"].to_numpy(), rows["prediction"].to_numpy(), "binary")
    return found["auc"]
