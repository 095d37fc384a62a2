"""The versions of a partition: what waits for its validation, what was scored on which, and what is next."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import ConfigError, NotReadyError
from pipelines.records import AmendmentRecord, IngestionRecord, ScoringRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.versions import (
    render_partition,
    show_partition,
    stale_partitions,
    unvalidated_partitions,
)

NIGHT, BEFORE = "2026-07-04", "2026-07-03"


def land(runtime: Runtime, raw: str, key: str = NIGHT, **fields: Any) -> None:
    record = IngestionRecord(
        dataset="flights", partition_key=key, source_uri="files", raw_digest=raw, n_rows=10, **fields
    )
    runtime.ledger.record(record)


def validate(runtime: Runtime, raw: str, published: str | None, key: str = NIGHT) -> None:
    record = ValidationRecord(
        dataset="flights",
        partition_key=key,
        raw_digest=raw,
        suite_digest="s",
        outcome="passed" if published else "refused",
        n_in=10,
        n_published=9 if published else 0,
        n_quarantined=1,
        validated_digest=published,
        reasons=() if published else ("too few rows",),
    )
    runtime.ledger.record(record)


def score(runtime: Runtime, published: str, version: str = "1", key: str = NIGHT) -> None:
    record = ScoringRecord(
        dataset="flights",
        partition_key=key,
        model_version=version,
        bundle_digest="b",
        validated_digest=published,
        features_digest="f",
        predictions_digest=f"p{version}{published}",
        n_rows=9,
        device="cpu",
    )
    runtime.ledger.record(record)


def test_a_night_is_unvalidated_from_its_correction_to_its_validation(runtime: Runtime) -> None:
    land(runtime, "r1")
    assert unvalidated_partitions("flights", runtime=runtime) == [], "it waits for its own night"
    validate(runtime, "r1", "v1")
    assert unvalidated_partitions("flights", runtime=runtime) == []
    land(runtime, "r2")
    assert unvalidated_partitions("flights", runtime=runtime) == [NIGHT]
    validate(runtime, "r2", None)
    assert unvalidated_partitions("flights", runtime=runtime) == [], "a refusal is a verdict too"


def test_the_newest_nights_come_first(runtime: Runtime) -> None:
    for key in (BEFORE, NIGHT):
        land(runtime, "r1", key)
        validate(runtime, "r1", "v1", key)
        score(runtime, "v0", key=key)
        land(runtime, "r2", key)
    assert unvalidated_partitions("flights", runtime=runtime) == [NIGHT, BEFORE]
    assert stale_partitions("flights", runtime=runtime) == [NIGHT, BEFORE]


def test_scores_are_stale_until_the_published_rows_are_scored(runtime: Runtime) -> None:
    validate(runtime, "r1", "v1")
    assert stale_partitions("flights", runtime=runtime) == [], "never scored"
    score(runtime, "v1")
    assert stale_partitions("flights", runtime=runtime) == []
    validate(runtime, "r2", None)
    assert stale_partitions("flights", runtime=runtime) == [], "what was refused can't be scored"
    validate(runtime, "r3", "v3")
    assert stale_partitions("flights", runtime=runtime) == [NIGHT]
    score(runtime, "v3", version="2")
    assert stale_partitions("flights", runtime=runtime) == [], "whichever version scored it"


def test_a_history_tells_every_version_and_which_model_scored_which(runtime: Runtime) -> None:
    land(runtime, "r1")
    validate(runtime, "r1", "v1")
    score(runtime, "v1")
    land(runtime, "r2", restated_by="2026-07-06", n_superseded=2, n_replayed=1)
    found = show_partition("flights", NIGHT, runtime=runtime)
    assert [event.kind for event in found.events] == ["ingestion", "validation", "scoring", "ingestion"]
    assert found.events[-1].previous_digest == "r1"
    assert found.events[-1].why == (
        "its source changed, as the ingestion of 2026-07-06 found, 1 replayed, 2 corrected"
    )
    assert (found.is_unvalidated, found.is_stale) == (True, False)
    assert found.next_command == f"holdfast validate flights {NIGHT}"
    validate(runtime, "r2", "v2")
    found = show_partition("flights", NIGHT, runtime=runtime)
    assert [event.is_stale for event in found.events if event.kind == "scoring"] == [True]
    assert (found.is_unvalidated, found.is_stale) == (False, True)
    text = render_partition(found)
    assert "STALE" in text
    assert f"Next: `holdfast score flights {NIGHT}`" in text
    score(runtime, "v2", version="2")
    found = show_partition("flights", NIGHT, runtime=runtime)
    assert [(event.model_version, event.is_stale) for event in found.events if event.kind == "scoring"] == [
        ("1", True),
        ("2", False),
    ]
    assert found.next_command is None
    assert "Everything rests on the newest version." in render_partition(found)


def test_a_refusal_labels_and_amendments_are_told(runtime: Runtime) -> None:
    land(runtime, "r1", n_labels=1, labels_digest="l1")
    land(runtime, "r1", n_labels=2, labels_digest="l2")
    validate(runtime, "r1", None)
    runtime.ledger.record(
        AmendmentRecord(
            dataset="flights",
            partition_key=NIGHT,
            action="release",
            actor="ann",
            reason="they are right",
            n_rows=1,
            n_rejoined=1,
            n_staying=0,
            rows_digest="x",
            amendments_digest="a",
            outcome="passed",
            validated_digest="v2",
            n_published=10,
            n_quarantined=0,
        )
    )
    text = render_partition(show_partition("flights", NIGHT, runtime=runtime))
    assert "its labels changed" in text
    assert "validation nothing of r1, 0 rows: refused, 1 in quarantine: too few rows" in text
    assert "release by ann: they are right" in text


def test_a_partition_that_was_never_landed_says_what_to_run(runtime: Runtime) -> None:
    with pytest.raises(NotReadyError, match=f"holdfast ingest flights {NIGHT}"):
        show_partition("flights", NIGHT, runtime=runtime)


@pytest.mark.parametrize(("dataset", "key"), [("flight", NIGHT), ("flights", "yesterday")])
def test_what_can_not_be_is_refused(runtime: Runtime, dataset: str, key: str) -> None:
    with pytest.raises(ConfigError):
        show_partition(dataset, key, runtime=runtime)
