"""The model card: what a version is for, made of, good and bad at, and who decided; all from the record."""

from pipelines.registry.card.document import card_document, card_summary
from pipelines.registry.card.facts import CardFacts

__all__ = ["CardFacts", "card_document", "card_summary"]
