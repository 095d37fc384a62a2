"""The whole card as a document: the same on a page, in Markdown and on a terminal."""

from __future__ import annotations

from pipelines.pages.document import Document, Mark, Prose, Section
from pipelines.pages.places import Places
from pipelines.registry.card.curves import curves_section
from pipelines.registry.card.facts import CardFacts
from pipelines.registry.card.fared import fared_section
from pipelines.registry.card.found import found_section
from pipelines.registry.card.judged import DECIDED, GATES, decisions_section, gates_section, lead
from pipelines.registry.card.made import made_section, use_section
from pipelines.registry.card.measured import QUALITY, measured_sections
from pipelines.registry.card.robust import robust_sections
from pipelines.registry.decided import is_details


def card_document(facts: CardFacts, *, places: Places | None = None) -> Document:
    """Return the model card.

    Parameters
    ----------
    places : Places, optional
        Where its links lead; the card that is attached to a version has none.
    """
    if facts.evaluation is None:
        unmeasured = Prose(f"Not measured: {facts.missing.get('evaluation', 'no reason is known.')}", "info")
        measured = [Section(QUALITY, [unmeasured])]
    else:
        quality, *others = measured_sections(facts.evaluation)
        curves = curves_section(facts.evaluation, facts.plots, facts.missing.get("plots", ""))
        measured = [quality, curves, *others, *robust_sections(facts.evaluation, facts.speed)]
    sections = [
        use_section(facts),
        *measured,
        fared_section(facts),
        decisions_section(facts, places),
        gates_section(facts),
        found_section(facts.selection, facts.missing.get("selection", "no reason is known.")),
        made_section(facts),
    ]
    title = f"{facts.dataset} v{facts.model_version}"
    return Document(title, sections, marks=_marks(facts), lead=lead(facts))


def card_summary(card: Document) -> Document:
    """Return what describes a version in a list of them: how good it is, when it was champion, its gates."""
    by_title = {section.title: section for section in card.sections}
    gates = by_title[GATES]
    verdict = Section(GATES, [block for block in gates.blocks if not is_details(block)])
    told = [by_title[QUALITY], by_title[DECIDED], verdict]
    where = Prose("All of it is among the artifacts of its run: `card/model_card.md` and `.html`.")
    return Document(card.title, told, marks=card.marks, lead=[where])


def _marks(facts: CardFacts) -> list[Mark]:
    marks = [Mark("calm" if alias == "champion" else "info", alias) for alias in facts.aliases]
    if facts.gates and not facts.gates[-1].is_passed:
        marks.append(Mark("critical", "refused by its gates"))
    return marks
