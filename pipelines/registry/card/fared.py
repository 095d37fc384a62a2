"""The part of a card that says how a model fared on the labels of the nights that it scored."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.pages.document import Block, Fact, Facts, Prose, Section, Table
from pipelines.records import WatchRecord
from pipelines.registry.card.facts import CardFacts
from pipelines.registry.card.figures import figure

_N_NIGHTS = 14
_VERDICTS = {"watching": "is watched", "worse": "was worse, and rolled back", "kept": "was kept"}


def fared_section(facts: CardFacts) -> Section:
    """Return what became of its predictions, as far as their labels are complete."""
    title = "How it fared"
    mature = [found for found in facts.performances if found.is_mature]
    blocks: list[Block] = list(_watched(facts.watches))
    if not mature:
        return Section(
            title, [*blocks, Prose("Not measured: no night that it scored has its labels yet.", "info")]
        )
    names = sorted(mature[-1].metrics)
    rows = [
        [found.partition_key, f"{found.n_rows}", *(figure(found.metrics.get(name)) for name in names)]
        for found in reversed(mature[-_N_NIGHTS:])
    ]
    about = (
        f"On {sum(found.n_rows for found in mature)} labelled rows of {len(mature)} nights, "
        f"{mature[0].partition_key} to {mature[-1].partition_key}; the newest are:"
    )
    return Section(
        title, [*blocks, Prose(about), Table(("night", "rows", *names), rows, numbers=("rows", *names))]
    )


def _watched(watches: tuple[WatchRecord, ...]) -> Iterator[Block]:
    """Yield what the watch over each of its promotions said last."""
    newest = {found.sequence: found for found in watches}
    for found in newest.values():
        yield Facts(
            [
                Fact(
                    f"after move {found.sequence} it",
                    _VERDICTS[found.verdict],
                    f"as of {found.partition_key}",
                ),
                Fact(f"its {found.metric}", figure(found.champion_value), f"on {len(found.nights)} nights"),
                Fact(f"v{found.former_version} would have had", figure(found.former_value)),
                Fact(
                    "evidence that it is worse", figure(found.evidence, 2), f"enough is {found.threshold:g}"
                ),
            ]
        )
