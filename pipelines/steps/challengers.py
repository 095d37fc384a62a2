"""What is so of challengers beside their gates: in the shadow, taken out of it, approved or rejected."""

from __future__ import annotations

from pipelines.records import ApprovalRecord, ShadowWithdrawal
from pipelines.registry.decided import stamp
from pipelines.runtime import Runtime
from pipelines.steps.shadow_state import waiting_challengers


def said_of(dataset: str, model_version: str, *, runtime: Runtime) -> list[str]:
    """Return what people said of a version, oldest first, and how far it has come in the shadow."""
    ledger = runtime.ledger
    spoken: list[ApprovalRecord | ShadowWithdrawal] = [
        *ledger.revisions(ApprovalRecord, dataset),
        *ledger.revisions(ShadowWithdrawal, dataset),
    ]
    mine = [record for record in spoken if record.model_version == model_version]
    said = [
        f"{stamp(record.decided_at)}: {record.sentence}"
        for record in sorted(mine, key=lambda found: found.decided_at)
    ]
    waiting = waiting_challengers(dataset, runtime=runtime)
    return said + [state.sentence for _, state in waiting if state.model_version == model_version]


def standings(dataset: str, *, runtime: Runtime) -> dict[str, str]:
    """Return, in a few words, what is so of each version that its newest gates do not say."""
    words: dict[str, str] = {}
    for record in runtime.ledger.revisions(ApprovalRecord, dataset):
        words.pop(record.model_version, None)
        if record.answer != "approved":
            said = f"rejected by {record.actor}" if record.actor else "nobody approved it in time"
            words[record.model_version] = f"passed, {said}"
    for _, state in waiting_challengers(dataset, runtime=runtime):
        told = f"in the shadow: {len(state.nights)} of {state.n_nights} nights"
        if state.withdrawal is not None:
            told = f"out of the shadow, by {state.withdrawal.actor}"
        words[state.model_version] = told
    return words
