"""The part of a card that says what a model is for, and what it was made of."""

from __future__ import annotations

from typing import Any

from pipelines.pages.document import Block, Bullets, Fact, Facts, Prose, Section
from pipelines.registry.card.facts import CardFacts
from pipelines.registry.origin_facts import origin_facts

MADE = "What made it"
_MAX_NAMED = 40


def use_section(facts: CardFacts) -> Section:
    """Return what the model answers, from what, and what it is not for."""
    config, trained = facts.origin.config, facts.origin.trained
    if config is None:
        return Section("What it is for", [Prose("Not known: its configuration can't be read.", "info")])
    features = config.get("features", {})
    names = [*features.get("numeric", ()), *features.get("categorical", ())]
    known = [
        Fact("question", str(config.get("description", "not said"))),
        Fact("target", f"{config.get('target', 'not said')}", _task(config)),
        Fact("features", f"{len(names)}", _cut(names)),
        Fact("owner", str(config.get("owner", "not said"))),
        Fact("candidate", trained.candidate),
    ]
    bounds = [
        f"It learned from {trained.first_partition} to {trained.last_partition} alone: what the world did "
        "later it has not seen.",
        "It was judged on rows that come as those did: what it does for other uses, nobody measured.",
    ]
    leaks = config.get("leaks") or ()
    if leaks:
        bounds.append(f"Known only after the fact, and never given to it: {_cut(list(leaks))}.")
    return Section("What it is for", [Facts(known), Bullets(bounds)])


def made_section(facts: CardFacts) -> Section:
    """Return what made the model, and what of it is not known."""
    blocks: list[Block] = [Facts(origin_facts(facts.origin))]
    blocks.append(
        Prose(
            f"All of it: `holdfast show model {facts.dataset}@{facts.model_version}`; made again and "
            f"compared: `holdfast reproduce {facts.dataset}@{facts.model_version}`."
        )
    )
    if facts.origin.missing:
        blocks.append(Bullets([f"Not known: {text}" for text in facts.origin.missing]))
    return Section(MADE, blocks)


def _task(config: dict[str, Any]) -> str:
    classes = config.get("classes") or ()
    return str(config.get("task", "")) + (f" of {_cut(list(classes))}" if classes else "")


def _cut(names: list[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(map(str, names[:_MAX_NAMED])) + (f" and {more} more" if more > 0 else "")
