"""The pages about models: all of a dataset's, the card of one, and the passport of a row."""

from __future__ import annotations

from pipelines.errors import ConfigError, NotReadyError
from pipelines.pages.document import Document, Prose
from pipelines.pages.document_page import document_page
from pipelines.pages.places import Places
from pipelines.registry.models_page import ROW_QUESTION, models_page, question_form
from pipelines.registry.row_document import row_document
from pipelines.runtime import Runtime
from pipelines.steps.card import model_card
from pipelines.steps.explain import explain
from pipelines.steps.models_pages import models_facts

MAX_ROW_ID_CHARS = 2_000


def models(runtime: Runtime, dataset: str, at: str | None) -> str | None:
    """Return the page of a dataset's models, and who was champion at a time; None for no such dataset."""
    if dataset not in runtime.params.datasets:
        return None
    return models_page(models_facts(dataset, runtime=runtime, at=at), Places(depth=1))


def model(runtime: Runtime, dataset: str, model_version: str) -> str | None:
    """Return the card of a version; None where there is none."""
    if dataset not in runtime.params.datasets:
        return None
    places = Places(depth=2)
    try:
        card = model_card(dataset, model_version, runtime=runtime, places=places)
    except ConfigError:
        return None
    trail = [
        ("Holdfast", places.health),
        (dataset, places.drift(dataset)),
        ("Models", places.models(dataset)),
        (f"v{model_version}", None),
    ]
    return document_page(card, trail=trail)


def row(runtime: Runtime, dataset: str, row_id: str | None) -> tuple[str, bool] | None:
    """Return the passport of a row, and whether there is such a row; None for no such dataset."""
    if dataset not in runtime.params.datasets:
        return None
    places = Places(depth=1)
    row_id = (row_id or "").strip()
    is_found = True
    if not row_id:
        document = Document(f"Rows of {dataset}", [], lead=[Prose("Which row? Its id is in `predictions`.")])
    else:
        try:
            document = row_document(explain(dataset, row_id, runtime=runtime), places=places)
        except (ConfigError, NotReadyError) as error:
            is_found = False
            document = Document(f"No such row of {dataset}", [], lead=[Prose(str(error), "warning")])
    trail = [
        ("Holdfast", places.health),
        (dataset, places.drift(dataset)),
        ("Models", places.models(dataset)),
        ("Row", None),
    ]
    form = question_form("row", ROW_QUESTION, row_id, places.row(dataset))
    return document_page(document, trail=trail, form=f'<div class="card asks">{form}</div>'), is_found
