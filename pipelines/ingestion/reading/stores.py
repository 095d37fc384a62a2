"""The places that a source's files lie in, behind one door: find them, fetch them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.ingestion.reading.cache import StagingCache
from pipelines.ingestion.reading.deliveries import Delivery, fingerprint_of, for_days, wrong_checksum
from pipelines.ingestion.reading.locations import local_files, packaged_file, shown_address

if TYPE_CHECKING:
    from pipelines.config import Settings, SourceConfig
    from pipelines.ingestion.reading.http import HttpStore
    from pipelines.ingestion.reading.s3 import S3Store


class Stores:
    """Packages, disks, S3 and HTTP servers, as one source needs them.

    Parameters
    ----------
    source : SourceConfig
        Of a kind with files.
    cache : StagingCache
        Says what needs no fetching.
    scratch : Path
        A folder for what is fetched.
    """

    def __init__(
        self, source: SourceConfig, settings: Settings, *, cache: StagingCache, scratch: Path
    ) -> None:
        self._source = source
        self._settings = settings
        self._cache = cache
        self._scratch = scratch

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *_: object) -> None:
        if "http" in self.__dict__:
            self.http.close()

    @cached_property
    def s3(self) -> S3Store:
        """Return the S3 store that the settings name."""
        from pipelines.ingestion.reading.s3 import S3Store

        return S3Store(self._settings.s3_endpoint_url)

    @cached_property
    def http(self) -> HttpStore:
        """Return what asks HTTP servers."""
        from pipelines.ingestion.reading.http import HttpStore

        return HttpStore(
            self._source.headers,
            max_bytes=self._source.limits.max_file_bytes,
            memory=self._cache.folder / "http",
        )

    def find(self, table: str, days: Sequence[date]) -> list[Delivery]:
        """Return the files of a table, in no particular order.

        Raises
        ------
        ConfigError, SourceError, IntegrityError
            As :func:`~pipelines.ingestion.reading.staging.stage_source` says.
        """
        location = self._source.tables[table]
        if self._source.package is not None:
            return [packaged_file(self._source.package, location)]
        if location.startswith("s3://"):
            return self.s3.find(table, location, days)
        if location.startswith(("http://", "https://")):
            return self._at_address(table, location, days)
        return local_files(table, location, sources=self._settings.sources, days=days)

    def fetch(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return the deliveries with their bytes on this machine."""
        afar = [delivery for delivery in deliveries if delivery.path is None]
        near = {delivery.identity: delivery for delivery in deliveries if delivery.path is not None}
        if afar:
            near |= {delivery.identity: delivery for delivery in self.s3.fetch(afar, self._scratch)}
        return [near[delivery.identity] for delivery in deliveries]

    def read_start(self, delivery: Delivery, n_bytes: int) -> bytes:
        """Return the first bytes of a file afar, as it lies there."""
        if delivery.address.startswith("s3://"):
            return self.s3.read_start(delivery, n_bytes)
        return self.http.read_start(delivery.address, n_bytes)

    def fetch_whole(self, delivery: Delivery) -> Delivery:
        """Return one file afar with its bytes on this machine."""
        if delivery.address.startswith("s3://"):
            return self.fetch([delivery])[0]
        target = self._scratch / "whole"
        self.http.fetch(delivery.address, target, known_etag=None)
        return replace(delivery, path=target)

    def _at_address(self, table: str, location: str, days: Sequence[date]) -> list[Delivery]:
        from pipelines.ingestion.reading.http import NoSuchFileError

        found: list[Delivery] = []
        for url, day in for_days(location, days):
            try:
                found.append(replace(self._downloaded(table, url), day=day))
            except NoSuchFileError:
                if url == location:
                    raise
        return found

    def _downloaded(self, table: str, url: str) -> Delivery:
        """Return the file at an address: only asked for where it may have changed."""
        checksum = self._source.checksums.get(table)
        name = shown_address(url)
        last = self.http.remembered(url)
        if last is not None and (
            self._cache.find(_identity(url, last.fingerprint)) is None
            or checksum not in (None, last.fingerprint)
        ):
            last = None
        target = self._scratch / f"http-{len(list(self._scratch.iterdir()))}"
        path, etag = self.http.fetch(url, target, known_etag=last.etag if last else None)
        if last is not None and path is None:
            return Delivery(name, _identity(url, last.fingerprint), url, path=target)
        fingerprint = fingerprint_of(target)
        if checksum not in (None, fingerprint):
            # The way may have spoilt it: only a second, whole download that is wrong too convicts the file.
            _, etag = self.http.fetch(url, target, known_etag=None)
            fingerprint = fingerprint_of(target)
            if checksum is not None and fingerprint != checksum:
                raise wrong_checksum(name, fingerprint, checksum)
        if etag is not None:
            self.http.remember(url, etag, fingerprint)
        return Delivery(name, _identity(url, fingerprint), url, path=target)


def _identity(url: str, fingerprint: str) -> str:
    return f"{shown_address(url)}|{fingerprint}"
