"""Stage the files of a source: find them, fetch what is new, parse it in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import ConfigError, HoldfastError, SchemaError
from pipelines.ingestion.reading.batches import StagedContent
from pipelines.ingestion.reading.cache import SCRATCH_PREFIX, StagingCache
from pipelines.ingestion.reading.deliveries import Delivery, fingerprint_of, wrong_checksum
from pipelines.ingestion.reading.isolation import ParsingTask, parse_files
from pipelines.ingestion.reading.options import options_of
from pipelines.ingestion.reading.staged import StagedFile
from pipelines.ingestion.reading.stores import Stores

if TYPE_CHECKING:
    from pipelines.config import Settings, SourceConfig


@contextmanager
def stage_source(
    source: SourceConfig, settings: Settings, *, days: Sequence[date], keep_refused: bool = False
) -> Iterator[dict[str, list[StagedFile]]]:
    """Stage every file of a source, and give them by table, in the order of their delivery.

    Parameters
    ----------
    source : SourceConfig
        What is read, and how it is written.
    settings : Settings
        ``sources`` is what relative paths start from; below ``home`` lies the cache of staged files.
    days : sequence of date
        The source's days that are wanted. A location with placeholders gives the files of those days
        (a day without a file gives none), a query with bound parameters is asked once a day, any
        other location gives all its files.
    keep_refused : bool
        Give a file that is unreadable as a whole with its ``refusal``, in place of raising.

    Yields
    ------
    dict of str to list of StagedFile
        Sorted by name, which is the order of delivery. The files stay until the context is left.

    Raises
    ------
    ConfigError
        If a query is no SELECT, a package or an environment variable is not there.
    SchemaError
        If a file is unreadable as a whole; it names the file.
    IntegrityError
        If a file's checksum is another than declared.
    SourceError
        If a source can't be reached or has no such file; it says how often it was tried.
    """
    folder = settings.home / "staging"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder) as scratch:
        if source.kind == "sql":
            from pipelines.ingestion.reading.sql import stage_tables

            yield stage_tables(source, settings, days=days, scratch=Path(scratch))
        else:
            staged = _stage_files(source, settings, days=days, scratch=Path(scratch))
            if not keep_refused:
                _raise_refusal(staged)
            yield staged


def _stage_files(
    source: SourceConfig, settings: Settings, *, days: Sequence[date], scratch: Path
) -> dict[str, list[StagedFile]]:
    cache = StagingCache(settings.home / "staging", options_of(source))
    cache.prune()
    with Stores(source, settings, cache=cache, scratch=scratch) as stores:
        tables = {table: stores.find(table, days) for table in source.tables}
        _require_one_file(source, tables)
        # Two tables may be made from one file.
        by_identity = {delivery.identity: delivery for found in tables.values() for delivery in found}
        outcomes: dict[str, StagedContent | HoldfastError] = {}
        fresh: list[Delivery] = []
        for identity, delivery in by_identity.items():
            content = cache.find(identity)
            if content is None:
                fresh.append(delivery)
            else:
                outcomes[identity] = content
        fetched = stores.fetch(fresh)
    for table, checksum in source.checksums.items():
        for delivery in fetched:
            if delivery.identity == tables[table][0].identity:
                _verify(delivery, fingerprint_of(_path(delivery)), checksum)
    outcomes |= _parse(fetched, cache, scratch)
    return {
        table: [
            _staged(delivery, cache, outcomes[delivery.identity], source.checksums.get(table))
            for delivery in sorted(found, key=lambda delivery: delivery.name)
        ]
        for table, found in tables.items()
    }


def _parse(
    deliveries: Sequence[Delivery], cache: StagingCache, scratch: Path
) -> dict[str, StagedContent | HoldfastError]:
    tasks = [
        ParsingTask(_path(delivery), delivery.name, scratch / f"{number}.parquet")
        for number, delivery in enumerate(deliveries)
    ]
    outcomes: dict[str, StagedContent | HoldfastError] = {}
    for delivery, task, outcome in zip(deliveries, tasks, parse_files(tasks, cache.options), strict=True):
        if isinstance(outcome, StagedContent):
            cache.keep(task.target, delivery.identity)
        elif not isinstance(outcome, SchemaError):
            raise outcome
        outcomes[delivery.identity] = outcome
    return outcomes


def _staged(
    delivery: Delivery, cache: StagingCache, outcome: StagedContent | HoldfastError, checksum: str | None
) -> StagedFile:
    path = cache.path_of(delivery.identity)
    if isinstance(outcome, HoldfastError):
        return StagedFile(path, delivery.name, (), 0, 0, "", delivery.day, refusal=str(outcome))
    if checksum is not None:
        _verify(delivery, outcome.fingerprint, checksum)
    return outcome.at(path, name=delivery.name, day=delivery.day)


def _path(delivery: Delivery) -> Path:
    assert delivery.path is not None  # noqa: S101 - it was fetched
    return delivery.path


def _verify(delivery: Delivery, fingerprint: str, checksum: str) -> None:
    if fingerprint != checksum:
        raise wrong_checksum(delivery.name, fingerprint, checksum)


def _require_one_file(source: SourceConfig, tables: Mapping[str, Sequence[Delivery]]) -> None:
    for table in source.checksums:
        if len(tables[table]) != 1:
            raise ConfigError(
                f"source.checksums.{table} is of one file, and {source.tables[table]} gives "
                f"{len(tables[table])}."
            )


def _raise_refusal(staged: Mapping[str, Sequence[StagedFile]]) -> None:
    for files in staged.values():
        for file in files:
            if file.refusal is not None:
                raise SchemaError(file.refusal)
