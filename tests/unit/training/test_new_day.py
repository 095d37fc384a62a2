"""A new day reads, digests and writes its own rows alone; the others are taken as they are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.config import DatasetConfig
from pipelines.errors import ConflictError
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.training.digest_memory import DigestMemory
from pipelines.training.dvc_objects import ObjectCache, Output, content_digest
from pipelines.training.kept_days import KeptDays
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot, read_snapshot, write_snapshot

Publish = Callable[..., dict[str, str]]
JANUARY = partition_range("2013-01-01", "2013-01-12")


@pytest.fixture
def memory(tmp_path: Path) -> DigestMemory:
    return DigestMemory(tmp_path / "digests")


@pytest.fixture
def kept(tmp_path: Path) -> KeptDays:
    return KeptDays(tmp_path / "cache")


@pytest.fixture
def recall(runtime: Runtime, config: DatasetConfig, memory: DigestMemory) -> Callable[[str], Snapshot]:
    """Return a planner that remembers digests."""

    def run(last: str) -> Snapshot:
        return plan_snapshot(
            "flights",
            last,
            first=None,
            config=config,
            lake=runtime.lake,
            ledger=runtime.ledger,
            memory=memory,
        )

    return run


def _files(runtime: Runtime, days: list[str]) -> list[Path]:
    lake = Path(runtime.settings.lake_uri) / "flights"
    found = [path for table in ("validated", "labels") for path in (lake / table).rglob("*.parquet")]
    return [path for path in found if any(day in path.parent.name for day in days)]


def _train(planned: Snapshot, folder: Path, *, runtime: Runtime, kept: KeptDays, cache: Path) -> int:
    """Write a snapshot, and have the cache keep it as DVC does; return how many files were read."""
    n_read = write_snapshot(planned, folder, lake=runtime.lake, kept=kept)
    ObjectCache(cache).keep(Output("snapshot", content_digest(folder)), folder)
    return n_read


def test_the_days_before_are_not_read_again(
    publish: Publish, recall: Callable[[str], Snapshot], runtime: Runtime, kept: KeptDays, tmp_path: Path
) -> None:
    publish(JANUARY)
    before = recall(JANUARY[-2])
    assert (
        _train(before, tmp_path / "one", runtime=runtime, kept=kept, cache=tmp_path / "cache")
        == 2 * len(JANUARY) - 2
    )
    for path in _files(runtime, JANUARY[:-1]):
        path.write_bytes(b"nobody reads this")

    after = recall(JANUARY[-1])
    n_read = write_snapshot(after, tmp_path / "two", lake=runtime.lake, kept=kept)

    assert n_read == 2
    assert after.days[:-1] == before.days
    assert read_snapshot(after, tmp_path / "two")[0].num_rows == 2 * len(JANUARY)


def test_a_kept_day_that_was_damaged_is_read_from_the_lake(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, kept: KeptDays, tmp_path: Path
) -> None:
    publish(JANUARY)
    cache = tmp_path / "cache"
    _train(plan(), tmp_path / "one", runtime=runtime, kept=kept, cache=cache)
    objects = [path for path in (cache / "files").rglob("*") if path.is_file() and path.suffix != ".dir"]
    notes = [path for path in (cache / "days").rglob("*") if path.is_file()]
    for path in (objects[0], notes[0]):
        path.chmod(0o644)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))

    n_read = write_snapshot(plan(), tmp_path / "two", lake=runtime.lake, kept=kept)

    assert 1 <= n_read <= 2
    assert content_digest(tmp_path / "two") == content_digest(tmp_path / "one")


def test_a_day_that_was_published_anew_is_digested_anew(
    publish: Publish, recall: Callable[[str], Snapshot]
) -> None:
    publish(JANUARY)
    before = recall(JANUARY[-1])
    published = publish([JANUARY[3]], distance=99.0)

    after = recall(JANUARY[-1])

    assert after.days[3].events_digest == published[JANUARY[3]] != before.days[3].events_digest
    assert after.days[:3] + after.days[4:] == before.days[:3] + before.days[4:]


@pytest.mark.parametrize(
    "damage", [b"{}", b"", b"\xff\xfe", None], ids=["empty", "nothing", "binary", "a digit"]
)
def test_a_damaged_memory_is_as_good_as_none(
    publish: Publish, recall: Callable[[str], Snapshot], tmp_path: Path, damage: bytes | None
) -> None:
    publish(JANUARY)
    before = recall(JANUARY[-1])
    for path in (tmp_path / "digests").iterdir():
        digest = before.days[0].events_digest
        other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
        path.write_bytes(
            path.read_bytes().replace(digest.encode(), other.encode()) if damage is None else damage
        )

    assert recall(JANUARY[-1]) == before


def test_a_lake_that_was_changed_behind_its_back_is_noticed_and_then_planned_on_anew(
    publish: Publish,
    recall: Callable[[str], Snapshot],
    memory: DigestMemory,
    runtime: Runtime,
    tmp_path: Path,
) -> None:
    publish(JANUARY)
    recall(JANUARY[-1])
    one, other = _files(runtime, [JANUARY[2]])[0], _files(runtime, [JANUARY[3]])[0]
    one.write_bytes(other.read_bytes())
    planned = recall(JANUARY[-1])
    with pytest.raises(ConflictError, match=f"events of flights {JANUARY[2]} changed"):
        write_snapshot(planned, tmp_path / "snapshot", lake=runtime.lake)

    memory.forget("flights")

    assert recall(JANUARY[-1]).left_out == (JANUARY[2],)
