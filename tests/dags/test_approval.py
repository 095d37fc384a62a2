"""A person who approves has the evidence, the model card and the way to all of it beside the buttons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from model_on_record import put_model_on_record
from watched_world import DATASET, LAST, make_watched_world


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let operators open a month on record, with its champion."""
    home = tmp_path_factory.mktemp("approval") / "home"
    runtime = make_watched_world(home)
    put_model_on_record(runtime, f"{LAST}|1")
    runtime.ledger.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(home))
        patch.setenv("HOLDFAST_PARAMS", str(home / "params.yaml"))
        patch.setenv("HOLDFAST_PAGES_URL", "https://airflow.example.org/holdfast/")
        yield


def shown(model_version: str, evidence: str | None = "| gate | passed |") -> str:
    from holdfast_airflow.approval import PromotionApprovalOperator

    operator: Any = PromotionApprovalOperator(
        task_id="approve", dataset=DATASET, gate_task_id="gate", timeout_hours=72.0
    )
    return str(operator.with_card(evidence, model_version))


def test_the_evidence_comes_first_then_the_card_and_a_link_to_all_of_it(environment: None) -> None:
    body = shown("3")
    assert body.startswith("| gate | passed |")
    assert "](https://airflow.example.org/holdfast/models/trips/3)" in body
    for part in ("# The model card of v3", "Not measured", "| beats\\_champion | gain | 0.21 |"):
        assert part in body


def test_a_card_that_cannot_be_had_keeps_nobody_from_deciding(environment: None) -> None:
    body = shown("77")
    assert body.startswith("| gate | passed |")
    assert "The model card can't be shown" in body
