"""What Great Expectations' renderers make of a result or a suite, as markup that can do nothing."""

from __future__ import annotations

from html import escape
from typing import Any

from great_expectations.render import RenderedDocumentContent
from great_expectations.render.view import DefaultJinjaSectionView

from pipelines.validation.markup import inert


def rendered(document: RenderedDocumentContent) -> str:
    """Return the sections of a page as inert HTML."""
    view = DefaultJinjaSectionView()
    return inert(
        "".join(
            view.render({"section": section, "section_loop": {"index": position}})
            for position, section in enumerate(document.to_json_dict()["sections"], start=1)
        )
    )


def escaped(value: Any) -> Any:
    """Return a copy of plain JSON in which each text is escaped, since the renderers print some raw."""
    if isinstance(value, str):
        return escape(value, quote=False)
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return value
