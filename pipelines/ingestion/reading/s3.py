"""Objects in S3: listed page by page, fetched in ranges side by side."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipelines.errors import ConfigError, HoldfastError, SourceError, printable
from pipelines.ingestion.reading.deliveries import Delivery, for_days, no_file
from pipelines.ingestion.reading.retrying import persistently

_RANGE_BYTES = 8 << 20
_WORKERS = 4
_CREDENTIALS = {
    "AccessDenied",
    "ExpiredToken",
    "Forbidden",
    "403",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_THROTTLES = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestLimitExceeded"}
_CHANGED = {"PreconditionFailed", "412", "NoSuchKey", "404", "InvalidRange"}

Given = TypeVar("Given")


class S3Store:
    """An S3-compatible store.

    Parameters
    ----------
    endpoint_url : str, optional
        Its address; Amazon's own without it. Credentials come from the environment, by their AWS
        names.
    """

    def __init__(self, endpoint_url: str | None = None) -> None:
        import boto3
        from botocore.config import Config

        # A session of its own, since boto3's shared one keeps the credentials that it saw first. Tries are
        # counted by us, so that an error can say how many there were.
        self._client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=10,
                read_timeout=60,
                max_pool_connections=_WORKERS,
                # Stores that are not Amazon's may not know the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def find(self, table: str, location: str, days: Sequence[date]) -> list[Delivery]:
        """Return the objects at a key, below a prefix or matching a glob, in no particular order.

        Raises
        ------
        SourceError
            If the store can't be reached or refuses, or nothing is there and the location names no
            night.
        """
        filled = for_days(location, days)
        found = [replace(delivery, day=day) for place, day in filled for delivery in self._matching(place)]
        if found or filled != [(location, None)]:
            return found
        raise no_file(
            table, location, "Put it there, or set HOLDFAST_S3_ENDPOINT_URL to the store that has it."
        )

    def fetch(self, deliveries: Sequence[Delivery], folder: Path) -> list[Delivery]:
        """Return the deliveries with their bytes on this machine, each whole and of one version.

        Raises
        ------
        SourceError
            If an object can't be read, or was replaced while it was.
        """
        fetched = [
            replace(delivery, path=folder / f"s3-{number}") for number, delivery in enumerate(deliveries)
        ]
        ranges = [
            (delivery, start) for delivery in fetched for start in range(0, delivery.n_bytes, _RANGE_BYTES)
        ]
        for delivery in fetched:
            with delivery.path.open("wb") as file:  # type: ignore[union-attr]
                file.truncate(delivery.n_bytes)
        with ThreadPoolExecutor(_WORKERS) as workers:
            pending = [workers.submit(self._fetch_range, delivery, start) for delivery, start in ranges]
            try:
                for done in pending:
                    done.result()
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
        return fetched

    def read_start(self, delivery: Delivery, n_bytes: int) -> bytes:
        """Return the first bytes of an object."""
        wanted = min(n_bytes, delivery.n_bytes)
        return self._get(delivery, 0, wanted) if wanted else b""

    def _matching(self, location: str) -> list[Delivery]:
        bucket, _, pattern = location.removeprefix("s3://").partition("/")
        is_glob = bool(re.search(r"[*?\[]", pattern))
        prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        listed = self._listed(bucket, prefix)
        if is_glob:
            is_match = re.compile(_expression(pattern)).fullmatch
            return [delivery for key, delivery in listed.items() if is_match(key)]
        if pattern in listed:
            return [listed[pattern]]
        # What other tools leave beside the data (_SUCCESS, .crc) is none of it.
        return [
            delivery for key, delivery in listed.items() if not key.rpartition("/")[2].startswith(("_", "."))
        ]

    def _listed(self, bucket: str, prefix: str) -> dict[str, Delivery]:
        listed: dict[str, Delivery] = {}
        token: dict[str, str] = {}
        while True:
            page = self._call(
                partial(self._client.list_objects_v2, Bucket=bucket, Prefix=prefix, **token),
                f"s3://{bucket}/{prefix}",
            )
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    listed[entry["Key"]] = self._delivery(bucket, entry)
            if not page.get("IsTruncated"):
                return listed
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _delivery(self, bucket: str, entry: dict[str, Any]) -> Delivery:
        address = f"s3://{bucket}/{entry['Key']}"
        etag, size = entry["ETag"].strip('"'), int(entry["Size"])
        identity = f"{self._client.meta.endpoint_url}|{address}|{etag}|{size}"
        return Delivery(printable(address), identity, address, n_bytes=size, etag=etag)

    def _fetch_range(self, delivery: Delivery, start: int) -> None:
        assert delivery.path is not None  # noqa: S101 - set by fetch
        data = self._get(delivery, start, min(_RANGE_BYTES, delivery.n_bytes - start))
        with delivery.path.open("r+b") as file:
            file.seek(start)
            file.write(data)

    def _get(self, delivery: Delivery, start: int, n_bytes: int) -> bytes:
        bucket, _, key = delivery.address.removeprefix("s3://").partition("/")

        def get() -> bytes:
            answer = self._client.get_object(
                Bucket=bucket,
                Key=key,
                Range=f"bytes={start}-{start + n_bytes - 1}",
                IfMatch=f'"{delivery.etag}"',
            )
            with answer["Body"] as body:
                data: bytes = body.read()
            if len(data) != n_bytes:
                raise _CutOffError(f"{len(data):,} of {n_bytes:,} bytes came")
            return data

        return self._call(get, delivery.name)

    def _call(self, request: Callable[[], Given], what: str) -> Given:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            return persistently(request, what=f"Reading {what}", is_transient=_may_pass)
        except ClientError as error:
            raise _refusal(what, error.response) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ConfigError(
                f"{what} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        except BotoCoreError as error:
            raise SourceError(f"{what} can't be read: {error}") from error


class _CutOffError(Exception):
    """A body ended before its time."""


def _may_pass(error: BaseException) -> bool:
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as UnreachableError

    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or error.response["Error"].get("Code") in _THROTTLES
    # Broken connections and bodies: botocore's own, and urllib3's where a body is streamed.
    kinds = _CutOffError | HTTPClientError | UnreachableError | ConnectionError
    return isinstance(error, kinds) or _is_urllib3(error)


def _is_urllib3(error: BaseException) -> bool:
    import urllib3

    return isinstance(error, urllib3.exceptions.HTTPError)


def _refusal(what: str, answer: dict[str, Any]) -> HoldfastError:
    code = str(answer["Error"].get("Code", ""))
    if code in _CREDENTIALS:
        return SourceError(
            f"The store refuses to give {what} ({code}): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
            "what they may read."
        )
    if code == "NoSuchBucket":
        return SourceError(f"{what}: there is no such bucket. Make it, or mend the location in params.yaml.")
    if code in _CHANGED:
        return SourceError(f"{what} was replaced or removed while it was read. Read it again.")
    return SourceError(f"{what} can't be read: {code} {answer['Error'].get('Message', '')}".strip() + ".")


def _expression(pattern: str) -> str:
    """Return a glob as a regular expression in which ``*`` ends at a slash and ``**`` does not."""
    parts = re.split(r"(\*\*/?)", pattern)
    return "".join(
        "(?:.*/)?" if part == "**/" else ".*" if part == "**" else _within_folder(part) for part in parts
    )


def _within_folder(pattern: str) -> str:
    translated = re.split(r"([*?])", pattern)
    return "".join(
        "[^/]*" if part == "*" else "[^/]" if part == "?" else _classes(part) for part in translated
    )


def _classes(pattern: str) -> str:
    return re.sub(r"^\(\?s:|\)\\[Zz]$", "", fnmatch.translate(pattern))
