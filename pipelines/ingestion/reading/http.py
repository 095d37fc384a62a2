"""Files at HTTP addresses: asked for only if they changed, resumed where a connection broke."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from pipelines.errors import ConfigError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading.environment import from_environment
from pipelines.ingestion.reading.locations import shown_address
from pipelines.ingestion.reading.retrying import persistently

_TIMEOUT = httpx.Timeout(60, connect=10)


@dataclass(frozen=True)
class Remembered:
    """What an address gave the last time: its validator, and the fingerprint of its bytes."""

    etag: str
    fingerprint: str


class _TransientError(Exception):
    """An answer that may be another one soon."""


@dataclass
class _Download:
    """A download that may take several connections."""

    path: Path
    n_bytes: int = 0
    validator: str | None = None
    is_unchanged: bool = False


class HttpStore:
    """Files at HTTP addresses.

    Parameters
    ----------
    headers : mapping of str to str
        Sent with each request; ``env:NAME`` is read from the environment.
    max_bytes : int
        What a file may have.
    memory : Path
        A folder that keeps what addresses gave the last time.
    """

    def __init__(self, headers: Mapping[str, str], *, max_bytes: int, memory: Path) -> None:
        self._own = {
            name: from_environment(value, key=f"source.headers.{name}") for name, value in headers.items()
        }
        self._max_bytes = max_bytes
        self._memory = memory
        # Bytes as they lie there, so that a range of them is a range of the file.
        self._client = httpx.Client(
            headers={"Accept-Encoding": "identity"} | self._own,
            timeout=_TIMEOUT,
            follow_redirects=True,
            event_hooks={"request": [self._keep_to_host]},
        )
        self._hosts: set[tuple[str, str]] = set()

    def _keep_to_host(self, request: httpx.Request) -> None:
        # A redirect to another server must not take our headers, secrets among them, there.
        if (request.url.scheme, request.url.host) not in self._hosts:
            for name in self._own:
                request.headers.pop(name, None)

    def _trust(self, url: str) -> str:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ConfigError(f"{shown_address(url)} is no address: {error}") from error
        self._hosts.add((parsed.scheme, parsed.host))
        return url

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def remembered(self, url: str) -> Remembered | None:
        """Return what the address gave the last time, if that is known."""
        with suppress(OSError, ValueError, TypeError):
            return Remembered(**json.loads(self._memory_of(url).read_text()))
        return None

    def remember(self, url: str, etag: str, fingerprint: str) -> None:
        """Keep what the address gave for the next time."""
        path = self._memory_of(url)
        fresh = path.with_suffix(f".{fingerprint[-12:]}")
        fresh.write_text(json.dumps(asdict(Remembered(etag, fingerprint))))
        fresh.replace(path)

    def fetch(self, url: str, target: Path, *, known_etag: str | None) -> tuple[Path | None, str | None]:
        """Fetch an address to a file.

        Parameters
        ----------
        known_etag : str, optional
            The version that is at hand already; then nothing is fetched if it is still the one.

        Returns
        -------
        tuple of (Path or None, str or None)
            The file (None: unchanged), and its ETag if it has a strong one.

        Raises
        ------
        SourceError
            If there is no such file, or the server fails each time it is tried.
        SchemaError
            If the file is larger than it may be.
        """
        download = _Download(target)
        self._trust(url)
        persistently(
            lambda: self._continue(url, download, known_etag),
            what=f"Reading {shown_address(url)}",
            is_transient=_may_pass,
            secrets=self._secrets(url),
        )
        is_etag = download.validator is not None and download.validator.startswith('"')
        return (None if download.is_unchanged else target), (download.validator if is_etag else None)

    def read_start(self, url: str, n_bytes: int) -> bytes:
        """Return the first bytes of the file at an address."""
        self._trust(url)

        def read() -> bytes:
            with self._client.stream("GET", url, headers={"Range": f"bytes=0-{n_bytes - 1}"}) as answer:
                self._require_ok(url, answer)
                start = bytearray()
                for piece in answer.iter_raw():
                    start += piece
                    if len(start) >= n_bytes:
                        break
            return bytes(start[:n_bytes])

        return persistently(
            read,
            what=f"Reading {shown_address(url)}",
            is_transient=_may_pass,
            secrets=self._secrets(url),
        )

    def _continue(self, url: str, download: _Download, known_etag: str | None) -> None:
        """Take the download up where the last connection left it, if the server has the same file."""
        headers = {}
        if download.n_bytes and download.validator:
            headers = {"Range": f"bytes={download.n_bytes}-", "If-Range": download.validator}
        elif known_etag:
            headers = {"If-None-Match": known_etag}
        with self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 304:
                download.is_unchanged = True
                return
            if answer.status_code == 416:
                download.n_bytes = 0
            self._require_ok(url, answer)
            is_resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
                f"bytes {download.n_bytes}-"
            )
            download.n_bytes = download.n_bytes if is_resumed else 0
            download.validator = _validator(answer.headers)
            self._take(url, answer, download)

    def _take(self, url: str, answer: httpx.Response, download: _Download) -> None:
        with download.path.open("r+b" if download.n_bytes else "wb") as file:
            file.seek(download.n_bytes)
            file.truncate()
            # In pieces as they come: what a larger piece waits for would be lost with the connection.
            for piece in answer.iter_raw():
                file.write(piece)
                download.n_bytes += len(piece)
                if download.n_bytes > self._max_bytes:
                    raise SchemaError(
                        f"{shown_address(url)} has more than {self._max_bytes:,} bytes. If that is right, "
                        "raise source.limits.max_file_bytes."
                    )

    def _require_ok(self, url: str, answer: httpx.Response) -> None:
        status, shown = answer.status_code, shown_address(url)
        if status in (200, 206):
            return
        if status >= 500 or status in (408, 429, 416):
            raise _TransientError(f"the server answered {status} {answer.reason_phrase}")
        raise _refusal(shown, status)

    def _secrets(self, url: str) -> tuple[str, ...]:
        parsed = httpx.URL(url)
        return (*self._own.values(), parsed.password, parsed.query.decode())

    def _memory_of(self, url: str) -> Path:
        self._memory.mkdir(parents=True, exist_ok=True)
        # What is asked with may decide what is given, so the headers' names are part of it.
        key = hashlib.sha256(json.dumps([url, sorted(self._own)]).encode()).hexdigest()
        return self._memory / f"{key[:40]}.json"


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _TransientError | httpx.RequestError)


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what a range of the same version can be asked by: a strong ETag, or else the date."""
    etag = headers.get("ETag", "")
    return str(etag) if etag.startswith('"') else headers.get("Last-Modified")


def _refusal(shown: str, status: int) -> HoldfastError:
    if status in (401, 403):
        return SourceError(
            f"{shown}: the server refuses access ({status}). Check source.headers and their secrets."
        )
    if status in (404, 410):
        return NoSuchFileError(
            f"{shown}: there is no such file ({status}). Check the address in params.yaml, and that the "
            "file was delivered."
        )
    return SourceError(f"{shown}: the server answered {status}; it was not tried again.")


class NoSuchFileError(SourceError):
    """The server has no file at an address."""
