"""Tables at HTTP addresses: asked for only if new, resumed where cut off, checked, bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from file_server import FileServer, file_server

from pipelines.config import Settings, SourceConfig, load_settings
from pipelines.errors import ConfigError, HoldfastError, IntegrityError, SchemaError, SourceError
from pipelines.ingestion.reading import StagedFile, peek, stage_source

DAYS = [date(2024, 1, 2), date(2024, 1, 3)]
LARGE = b"n,text\n" + b"".join(b"%d,%s\n" % (number, b"x" * 50) for number in range(60_000))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        state.files["a.csv"] = b"x,y\n1,2\n"
        state.files["large.csv"] = LARGE
        yield state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"HOLDFAST_HOME": str(tmp_path)})


Read = Callable[..., list[StagedFile]]


def config(url: str, **fields: Any) -> SourceConfig:
    return SourceConfig.model_validate({"kind": "csv", "tables": {"t": url}} | fields)


@pytest.fixture
def read(settings: Settings) -> Read:
    def read_from(url: str, **fields: Any) -> list[StagedFile]:
        with stage_source(config(url, **fields), settings, days=DAYS) as tables:
            assert all(pq.read_metadata(file.path).num_rows == file.n_rows for file in tables["t"])
            return tables["t"]

    return read_from


def fingerprint(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_an_unchanged_file_is_asked_for_and_not_sent_again(server: FileServer, read: Read) -> None:
    first = read(server.url("a.csv"))
    server.cuts = [0] * 9  # any body would be cut off
    assert read(server.url("a.csv")) == first
    assert [("if-none-match" in asked) for asked in server.asked] == [False, True]
    server.cuts = []
    server.files["a.csv"] = b"x,y\n1,2\n3,4\n"
    assert read(server.url("a.csv"))[0].n_rows == 2


def test_without_a_validator_a_file_is_fetched_each_time_and_known_by_its_bytes(
    server: FileServer, read: Read
) -> None:
    server.has_etag = False
    assert read(server.url("a.csv")) == read(server.url("a.csv"))
    assert len(server.asked) == 2
    assert read(server.url("a.csv"))[0].fingerprint == fingerprint(b"x,y\n1,2\n")


@pytest.mark.parametrize(
    ("validators", "n_resumed"),
    [
        pytest.param({"has_etag": True}, 2, id="by-etag"),
        pytest.param({"has_etag": False, "has_date": True}, 2, id="by-date"),
        pytest.param({"has_etag": False}, 0, id="from-the-start"),
    ],
)
def test_a_download_that_is_cut_off_goes_on_where_it_can(
    server: FileServer, read: Read, validators: dict[str, bool], n_resumed: int
) -> None:
    for name, value in validators.items():
        setattr(server, name, value)
    server.cuts = [1_000_000, 500_000]
    (file,) = read(server.url("large.csv"))
    assert file.fingerprint == fingerprint(LARGE)
    assert file.n_rows == 60_000
    assert sum("range" in asked for asked in server.asked) == n_resumed


def test_a_file_that_is_replaced_between_two_parts_is_not_mixed(server: FileServer, read: Read) -> None:
    server.cuts = [1_000_000]
    new = LARGE.replace(b"x", b"y")
    original = server.files["large.csv"]

    # The second request asks for a range of a version that is gone.
    class Replaced(dict[str, bytes]):
        def __getitem__(self, name: str) -> bytes:
            return original if len(server.asked) == 1 else new

        def __contains__(self, name: object) -> bool:
            return True

    server.files = Replaced()
    (file,) = read(server.url("large.csv"))
    assert file.fingerprint == fingerprint(new)


@pytest.mark.parametrize("status", [500, 503, 429, 408], ids=str)
def test_a_failure_that_passes_is_tried_again(server: FileServer, read: Read, status: int) -> None:
    server.statuses = [status]
    assert read(server.url("a.csv"))[0].n_rows == 1


def test_a_failure_that_stays_is_told_with_its_number_of_tries_and_without_secrets(
    server: FileServer, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEED_TOKEN", "Bearer hunter2")
    server.statuses = [503] * 99
    url = server.url("a.csv?signature=topsecret").replace("http://", "http://me:pass1word@")
    with pytest.raises(SourceError, match=r"/a\.csv failed 4 times.*503.*nothing about its data") as caught:
        read(url, headers={"X-Token": "env:FEED_TOKEN"})
    assert server.asked[0]["x-token"] == "Bearer hunter2"
    assert not any(secret in str(caught.value) for secret in ("hunter2", "topsecret", "pass1word"))
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(404, r"no such file \(404\)\. Check the address", id="not-there"),
        pytest.param(401, "refuses access", id="who-are-you"),
        pytest.param(403, "refuses access", id="not-you"),
        pytest.param(400, "not tried again", id="other"),
    ],
)
def test_a_refusal_is_not_tried_again(server: FileServer, read: Read, status: int, message: str) -> None:
    server.statuses = [status]
    with pytest.raises(SourceError, match=message):
        read(server.url("a.csv"))
    assert len(server.asked) == 1


def test_a_night_without_its_file_is_empty(server: FileServer, read: Read) -> None:
    server.files["2024-01-03.csv"] = b"x\n1\n"
    (file,) = read(server.url("{partition_key}.csv"))
    assert (file.day, file.name) == (DAYS[1], server.url("2024-01-03.csv"))


def test_a_checksum_that_is_wrong_twice_convicts_the_file(server: FileServer, read: Read) -> None:
    right = fingerprint(server.files["a.csv"])
    assert read(server.url("a.csv"), checksums={"t": right})[0].fingerprint == right
    server.files["a.csv"] = b"x,y\n6,6\n"
    n_before = len(server.asked)
    with pytest.raises(IntegrityError, match=f"not {right}"):
        read(server.url("a.csv"), checksums={"t": right})
    assert len(server.asked) == n_before + 2


def test_a_checksum_that_is_added_later_is_held_against_what_is_at_hand(
    server: FileServer, read: Read
) -> None:
    read(server.url("a.csv"))
    with pytest.raises(IntegrityError):
        read(server.url("a.csv"), checksums={"t": fingerprint(b"other")})


@pytest.mark.parametrize(
    ("url", "fields", "error", "message"),
    [
        pytest.param(
            "large.csv", {"limits": {"max_file_bytes": 1_000}}, SchemaError, "max_file_bytes", id="large"
        ),
        pytest.param("a.csv", {"headers": {"X": "env:NO_SUCH"}}, ConfigError, "NO_SUCH", id="no-variable"),
    ],
)
def test_what_can_not_be_taken_is_named(
    server: FileServer, read: Read, url: str, fields: dict[str, Any], error: type[HoldfastError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(server.url(url), **fields)


def test_an_address_that_is_none_is_a_matter_of_configuration(read: Read) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        read("http://host:port/a.csv")


def test_our_headers_do_not_follow_a_redirect_to_another_server(server: FileServer, read: Read) -> None:
    with file_server() as other:
        other.files["b.csv"] = b"x\n1\n"
        server.redirects["a.csv"] = other.url("b.csv").replace("127.0.0.1", "localhost")
        assert read(server.url("a.csv"), headers={"X-Api-Key": "hunter2"})[0].n_rows == 1
        assert server.asked[0]["x-api-key"] == "hunter2"
        assert "x-api-key" not in other.asked[0]


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.csv", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(LARGE, id="plain"),
        pytest.param(gzip.compress(LARGE), id="gzip"),
        pytest.param(zipped(LARGE), id="zip"),
    ],
)
def test_the_first_bytes_are_looked_at(server: FileServer, settings: Settings, body: bytes) -> None:
    server.files["2024-01-02.csv"] = body
    url = server.url("{partition_key}.csv")
    (peeked,) = peek(config(url), settings, n_bytes=1_000, day=DAYS[0])
    assert LARGE.startswith(peeked.data)
    assert len(peeked.data) > 300
    with pytest.raises(ConfigError, match="say which night"):
        peek(config(url), settings, n_bytes=1_000)


def test_what_only_looks_packed_is_refused(server: FileServer, settings: Settings) -> None:
    server.files["b.gz"] = b"\x1f\x8b" + b"\xff" * 100
    with pytest.raises(SchemaError, match="can't be unpacked"):
        peek(config(server.url("b.gz")), settings, n_bytes=100)
