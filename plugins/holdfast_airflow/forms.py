"""What a person is asked when starting a Dag by hand, and the answers, read and checked.

Airflow checks types and formats against these forms before a run is made, from its page, its REST
API and its command line alike. A scheduled run leaves every field empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param


def ingest_form() -> dict[str, Param]:
    """Return the form of ``ingest_<dataset>``: one day, or a range of days."""
    return {
        "first": _day("First day", "The day to ingest; with a last day, the first of the range."),
        "last": _day(
            "Last day",
            "Leave empty for one day. A range is ingested in one go, and only its last published day is "
            "handed on to scoring: history is loaded without scoring it.",
        ),
    }


def train_form() -> dict[str, Param]:
    """Return the form of ``train_<dataset>``: the night, the first day of the data, and why."""
    return {
        "night": _day(
            "Night", "Train as of this night: on days whose labels were known then, and on none later."
        ),
        "first": _day("First day", "The first day to train on. Leave empty for all history."),
        "reason": Param(
            "",
            type="string",
            maxLength=500,
            title="Reason",
            description="Why; it is kept with the model.",
        ),
    }


def promote_form() -> dict[str, Param]:
    """Return the form of ``promote_<dataset>``: which challenger to hold to the gates."""
    return {
        "night": _day("Night", "The night for which the challenger was trained."),
        "model_version": _version("Leave empty for the newest challenger of that night."),
    }


def rollback_form() -> dict[str, Param]:
    """Return the form of ``rollback_<dataset>``: to which version, why, and which nights to score again."""
    return {
        "model_version": _version("Leave empty for the champion before this one."),
        "reason": Param(  # without a default: it has to be given
            type="string",
            minLength=3,
            maxLength=500,
            title="Reason",
            description="Why; it is kept in the champion's history.",
        ),
        "rescore": _day(
            "Score this night again",
            "A night to score again with the version gone back to. Leave empty to keep all predictions.",
        ),
        "rescore_last": _day(
            "Last night to score again",
            "Leave empty for one night. A range is scored again night by night; the predictions in their "
            "place so far are kept as superseded.",
        ),
    }


def answer(params: Mapping[str, Any], field: str) -> str | None:
    """Return a person's answer, stripped; None where the field was left empty."""
    value = params.get(field)
    text = "" if value is None else str(value).strip()
    return text or None


def _day(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", title=title, description=description)


def _version(description: str) -> Param:
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^\s*[0-9]*\s*$",
        title="Model version",
        description=description,
    )
