"""Nights of the toy world after its trainings: scored by the champion, and in its shadow."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import toy_world
from toy_world import DATASET, LAST_LABELLED

from pipelines.records import ChampionMove, now_utc, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.score import score
from pipelines.steps.shadow import shadow
from pipelines.storage.lake import PARTITION_COLUMN


def day(n: int) -> str:
    """Return the n-th night after the last one that any model has learned from, from 1."""
    return shift_partition(LAST_LABELLED, n)


def crown(runtime: Runtime, *versions: str) -> None:
    """Promote versions one after the other, whatever their gates would say."""
    for version in versions:
        present = runtime.ledger.champions.present(DATASET)
        runtime.ledger.champions.move(
            ChampionMove(
                dataset=DATASET,
                sequence=1 if present is None else present.sequence + 1,
                model_version=version,
                previous_version=None if present is None else present.model_version,
                action="promote",
                actor="test",
                reason="",
                evidence_digest=f"evidence of v{version}",
                partition_key=toy_world.NIGHT,
                moved_at=now_utc(),
            )
        )


def pass_nights(runtime: Runtime, first: int, last: int) -> None:
    """Publish nights with their labels, and score them in public and in the shadow."""
    toy_world.publish(runtime, [day(n) for n in range(first, last + 1)])
    for n in range(first, last + 1):
        score(DATASET, day(n), runtime=runtime)
        shadow(DATASET, day(n), runtime=runtime)


def relabel(runtime: Runtime, n: int) -> None:
    """Turn all labels of a night round: what did not happen, happened."""
    labels = runtime.lake.read(DATASET, "labels", partitions=[day(n)]).drop_columns([PARTITION_COLUMN])
    place = labels.column_names.index("y")
    turned = pc.subtract(pa.scalar(1, pa.int64()), labels["y"])
    runtime.lake.replace(DATASET, "labels", day(n), labels.set_column(place, "y", turned))
