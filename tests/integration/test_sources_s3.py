"""Tables in a real S3-compatible store: whole, or an error that says that the store failed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from cutting_proxy import CuttingProxy, cutting_proxy
from s3_server import S3Server, s3_server

from pipelines.config import Settings, SourceConfig, load_settings
from pipelines.errors import ConfigError, SourceError
from pipelines.ingestion.reading import peek, stage_source

BUCKET = "tables"
MANY = 1_005
DAYS = [date(2024, 1, 2), date(2024, 1, 3)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("swift")) as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=BUCKET)
        objects = {f"many/{number:04}.csv": f"x\n{number}\n".encode() for number in range(MANY)}
        objects |= {
            "days/2024-01-02.csv": b"x,y\n1,2\n",
            "days/deep/2024-01-02.csv": b"x,y\n3,4\n",
            "days/_SUCCESS": b"",
            "empty/none.csv": b"",
            "large.csv": large(),
        }
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=objects[key]), objects))
        yield server


def large() -> bytes:
    """Return a table of three ranges."""
    return b"id,text\n" + b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(180_000))


@pytest.fixture
def proxy(store: S3Server) -> Iterator[CuttingProxy]:
    with cutting_proxy(store.port) as between:
        yield between


@pytest.fixture
def settings(store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return settings_at(store.endpoint_url, tmp_path)


def settings_at(endpoint_url: str, home: Path) -> Settings:
    return load_settings({"HOLDFAST_HOME": str(home), "HOLDFAST_S3_ENDPOINT_URL": endpoint_url})


def source(location: str, **fields: Any) -> SourceConfig:
    return SourceConfig.model_validate({"kind": "csv", "tables": {"t": f"s3://{BUCKET}/{location}"}} | fields)


def test_a_prefix_of_more_objects_than_one_page_lists_gives_them_all(settings: Settings) -> None:
    with stage_source(source("many/"), settings, days=[]) as tables:
        files = tables["t"]
        assert [file.name for file in files] == [f"s3://{BUCKET}/many/{n:04}.csv" for n in range(MANY)]
        assert sum(file.n_rows for file in files) == MANY
        assert pq.read_table(files[-1].path)["x"].to_pylist() == [str(MANY - 1)]


@pytest.mark.parametrize(
    ("location", "names"),
    [
        pytest.param("days/*.csv", ["days/2024-01-02.csv"], id="glob-within-a-folder"),
        pytest.param("days/**/*.csv", ["days/2024-01-02.csv", "days/deep/2024-01-02.csv"], id="glob-deep"),
        pytest.param("days/2024-01-0[1-3].csv", ["days/2024-01-02.csv"], id="glob-class"),
        pytest.param("days/", ["days/2024-01-02.csv", "days/deep/2024-01-02.csv"], id="prefix-without-marks"),
        pytest.param("days/2024-01-02.csv", ["days/2024-01-02.csv"], id="one-key"),
        pytest.param("days/{partition_key}.csv", ["days/2024-01-02.csv"], id="nights"),
        pytest.param("none/{partition_key}.csv", [], id="nights-without-files"),
    ],
)
def test_locations_name_objects(settings: Settings, location: str, names: list[str]) -> None:
    with stage_source(source(location), settings, days=DAYS) as tables:
        assert [file.name for file in tables["t"]] == [f"s3://{BUCKET}/{name}" for name in names]
        assert {file.day for file in tables["t"]} <= ({DAYS[0]} if "{" in location else {None})


def test_a_large_object_comes_whole_though_its_connections_break(
    store: S3Server, proxy: CuttingProxy, settings: Settings, tmp_path: Path
) -> None:
    proxy.n_cuts, proxy.after_bytes = 2, 3 << 20
    behind = settings_at(f"http://127.0.0.1:{proxy.port}", tmp_path)
    with stage_source(source("large.csv"), behind, days=[]) as tables:
        (file,) = tables["t"]
        assert file.n_rows == 180_000
        assert file.n_rejected == 0
    assert proxy.n_cuts == 0


def test_a_connection_that_always_breaks_is_the_stores_failure(
    proxy: CuttingProxy, settings: Settings, tmp_path: Path
) -> None:
    proxy.n_cuts, proxy.after_bytes = 1_000, 1 << 20
    behind = settings_at(f"http://127.0.0.1:{proxy.port}", tmp_path)
    with (
        pytest.raises(
            SourceError, match=r"Reading s3://tables/large\.csv failed 4 times.*nothing about its data"
        ),
        stage_source(source("large.csv"), behind, days=[]),
    ):
        raise AssertionError
    assert not list((tmp_path / "staging").glob("*"))


def test_an_unchanged_object_is_not_fetched_again(
    proxy: CuttingProxy, settings: Settings, tmp_path: Path
) -> None:
    behind = settings_at(f"http://127.0.0.1:{proxy.port}", tmp_path)
    with stage_source(source("large.csv"), behind, days=[]) as tables:
        first = tables["t"]
    proxy.n_cuts, proxy.after_bytes = 1_000, 100_000
    with stage_source(source("large.csv"), behind, days=[]) as tables:
        assert tables["t"] == first


def test_a_wrong_secret_is_refused_and_not_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with (
        pytest.raises(SourceError, match=r"refuses.*AWS_SECRET_ACCESS_KEY") as caught,
        stage_source(source("large.csv"), settings, days=[]),
    ):
        raise AssertionError
    assert "wrong-secret" not in str(caught.value)


def test_missing_credentials_are_a_matter_of_configuration(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with (
        pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID"),
        stage_source(source("large.csv"), settings, days=[]),
    ):
        raise AssertionError


@pytest.mark.parametrize(
    ("location", "message"),
    [
        pytest.param(f"s3://{BUCKET}/none.csv", "there is no file s3://tables/none.csv", id="no-key"),
        pytest.param("s3://no-such-bucket/a.csv", "no such bucket", id="no-bucket"),
    ],
)
def test_what_is_not_there_is_named(settings: Settings, location: str, message: str) -> None:
    with (
        pytest.raises(SourceError, match=message),
        stage_source(source("", tables={"t": location}), settings, days=[]),
    ):
        raise AssertionError


def test_a_store_that_is_not_there_was_tried_four_times(settings: Settings, tmp_path: Path) -> None:
    with (
        pytest.raises(SourceError, match="failed 4 times"),
        stage_source(source("large.csv"), settings_at("http://127.0.0.1:1", tmp_path), days=[]),
    ):
        raise AssertionError


def test_the_first_bytes_are_looked_at_without_the_rest(settings: Settings) -> None:
    (peeked,) = peek(source("large.csv"), settings, n_bytes=10)
    assert (peeked.name, peeked.data) == (f"s3://{BUCKET}/large.csv", b"id,text\n0,")
    assert [found.name for found in peek(source("days/{partition_key}.csv"), settings, n_bytes=5)] == [
        f"s3://{BUCKET}/days/2024-01-02.csv"
    ]
    assert peek(source("empty/"), settings, n_bytes=5)[0].data == b""
