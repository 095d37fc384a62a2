"""Trainings of real flights under real git, DVC and MLflow: apart, at once, repeatable."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from pipelines.bundle.files import bundle_digest
from pipelines.config import PROJECT_ROOT, Params, load_params, load_settings
from pipelines.errors import ConfigError
from pipelines.evaluation.plots import TITLES
from pipelines.pages.document_markdown import document_markdown
from pipelines.records import TrainedModel, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.card import model_card
from pipelines.steps.ingest import ingest_range
from pipelines.steps.register import register
from pipelines.steps.reproduce import reproduce
from pipelines.steps.train import train
from pipelines.training.dvc_objects import ObjectCache, file_md5, read_outputs

_PARTS = ("pipelines", "params.yaml", "dvc.yaml", ".dvc", ".dvcignore", ".gitignore")
_LAST = "2013-01-24"
_SMALL = {"holdout_days": 3, "min_days": 10, "max_iterations": 8, "max_epochs": 1}


@dataclass(frozen=True)
class Site:
    """A checkout of its own, and a home with a month of flights."""

    checkout: Path
    home: Path
    params: Params

    def runtime(self) -> Runtime:
        """Return a Runtime as another process would have it."""
        settings = load_settings(
            {
                "HOLDFAST_PROJECT": str(self.checkout),
                "HOLDFAST_HOME": str(self.home),
                "HOLDFAST_DEVICE": "cpu",
            }
        )
        return Runtime(settings=settings, params=self.params)

    def with_training(self, **changes: object) -> Site:
        """Return the same site with another way to train."""
        content = self.params.model_dump(mode="json")
        content["datasets"]["flights"]["training"] |= changes
        return replace(self, params=Params.model_validate(content))

    def git(self, *arguments: str) -> str:
        """Run git in the checkout."""
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.checkout, capture_output=True, check=True, text=True).stdout

    def state(self) -> dict[str, bytes]:
        """Return every file of the checkout, git's own included."""
        files = (path for path in self.checkout.rglob("*") if path.is_file())
        return {str(path.relative_to(self.checkout)): path.read_bytes() for path in files}

    @property
    def workspaces(self) -> list[Path]:
        """The workspaces that are there now."""
        return [path for path in (self.home / "workspaces").iterdir() if not path.name.startswith(".")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a checkout with one uncommitted change, and published flights up to 24 January 2013."""
    root = tmp_path_factory.mktemp("site")
    checkout = root / "checkout"
    checkout.mkdir()
    for name in _PARTS:
        source, target = PROJECT_ROOT / name, checkout / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local")
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy(source, target)
    content = load_params(PROJECT_ROOT / "params.yaml").model_dump(mode="json")
    content["datasets"]["flights"]["training"] |= _SMALL
    found = Site(checkout, root / "home", Params.model_validate(content))
    found.git("init", "--quiet", "--initial-branch=main")
    found.git("add", "--all")
    found.git("commit", "--quiet", "--message", "As it is")
    with (checkout / "pipelines" / "metrics" / "quality.py").open("a") as file:
        file.write("\n# Not committed yet.\n")
    runtime = found.runtime()
    ingest_range("flights", "2013-01-01", _LAST, runtime=runtime)
    _publish(runtime)
    return found


def _publish(runtime: Runtime) -> None:
    """Publish what landed as it is: a training asks for the verdict, not for how it came about."""
    for key in runtime.lake.partition_keys("flights", "raw"):
        rows = runtime.lake.read("flights", "raw", partitions=[key]).drop_columns(
            ["miscast", "partition_key"]
        )
        version = runtime.lake.replace("flights", "validated", key, rows)
        runtime.ledger.record(
            ValidationRecord(
                dataset="flights",
                partition_key=key,
                raw_digest="raw",
                suite_digest="suite",
                outcome="passed",
                n_in=version.n_rows,
                n_published=version.n_rows,
                n_quarantined=0,
                validated_digest=version.digest,
            )
        )


@dataclass(frozen=True)
class Made:
    """Three trainings that started at once, the first and the last alike, and the checkout before them."""

    first: TrainedModel
    shorter: TrainedModel
    again: TrainedModel
    before: dict[str, bytes]


@pytest.fixture(scope="module")
def made(site: Site) -> Made:
    """Train three times at once."""
    before = site.state()

    def run(first_partition: str | None) -> TrainedModel:
        return train("flights", _LAST, runtime=site.runtime(), first_partition=first_partition, reason="test")

    # MLflow's database is set up by whoever is first; here nobody is kept waiting for it.
    assert site.runtime().registry.find_training("flights", "none") is None
    with ThreadPoolExecutor(3) as pool:
        first, shorter, again = pool.map(run, [None, "2013-01-09", None])
    return Made(first, shorter, again, before)


@pytest.fixture(scope="module")
def version(site: Site, made: Made) -> str:
    """Return the version under which the shorter training is registered."""
    return register(made.shorter, runtime=site.runtime()).model_version


def _object(site: Site, trained: TrainedModel, path: str) -> Path:
    """Return where the DVC cache keeps a file that a training left."""
    cache = ObjectCache(site.runtime().settings.dvc_cache)
    good = cache.survey(read_outputs(_lineage(site, trained, "dvc.lock"))).good
    return next(cache.path_of(name) for name, found in good.items() if found == path)


def _flip_one_byte(path: Path) -> None:
    """Damage an object, and leave the mode by which DVC trusts it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(content))
    path.chmod(0o444)


def _lineage(site: Site, trained: TrainedModel, name: str) -> str:
    text = site.runtime().registry.lineage(trained, name)
    assert text is not None
    return text


def test_trainings_of_different_days_run_at_once(made: Made) -> None:
    assert made.first.n_partitions == 23
    assert made.shorter.n_partitions == 15
    assert made.first.holdout_first == made.shorter.holdout_first == "2013-01-21"
    assert made.first.last_partition == made.shorter.last_partition == "2013-01-23"
    assert made.first.bundle_digest != made.shorter.bundle_digest


def test_the_same_training_at_once_is_done_once(made: Made) -> None:
    assert made.first == made.again


def test_the_checkout_is_as_it_was_and_no_workspace_is_left(site: Site, made: Made) -> None:
    assert site.state() == made.before
    assert site.workspaces == []


def test_the_model_beats_chance_on_days_that_it_never_saw(made: Made) -> None:
    assert made.first.metrics["n"] > 2_000
    assert made.first.metrics["auc"] > made.first.metrics["baseline_auc"] + 0.05
    assert made.first.metrics["n_look_ahead_columns"] == 0
    assert made.first.metrics["parity_error"] < 1e-6


def test_a_repeat_is_the_same_training_asked_for_anew(site: Site, made: Made) -> None:
    repeated = train("flights", _LAST, runtime=site.runtime(), reason="another reason")

    assert repeated == made.first.model_copy(update={"reason": "another reason"})


def test_what_ran_is_on_record(site: Site, made: Made) -> None:
    patch = _lineage(site, made.first, "uncommitted.patch")
    params = yaml.safe_load(_lineage(site, made.first, "params.yaml"))
    snapshot = json.loads(_lineage(site, made.first, "snapshot.json"))

    assert made.first.code_commit == site.git("rev-parse", "HEAD").strip()
    assert made.first.is_dirty
    assert "+# Not committed yet." in patch
    assert params["run"]["first_partition"] == "2013-01-01"
    assert params["run"]["snapshot_digest"] == made.first.snapshot_digest
    assert params["datasets"]["flights"]["training"]["max_iterations"] == 8
    assert [day["partition_key"] for day in snapshot["days"] if day["is_training"]][-1] == "2013-01-23"
    assert "numpy==" in _lineage(site, made.first, "environment.txt")


def test_commit_patch_and_lock_bring_back_every_byte(site: Site, made: Made, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    site.git("clone", "--quiet", str(site.checkout), str(clone))
    for name in ("uncommitted.patch", "dvc.lock", "dvc.yaml", "params.yaml"):
        (clone / name).write_text(_lineage(site, made.first, name))
    patch = ["git", "apply", "--exclude=params.yaml", "uncommitted.patch"]
    subprocess.run(patch, cwd=clone, check=True, capture_output=True)
    remote = site.runtime().settings.dvc_remote
    dvc = [sys.executable, "-m", "dvc"]
    for arguments in (
        ["remote", "modify", "--local", "holdfast", "url", remote],
        ["cache", "dir", "--local", str(tmp_path / "cache")],
        ["config", "--local", "core.site_cache_dir", str(tmp_path / "site")],
        ["pull"],
    ):
        subprocess.run([*dvc, *arguments], cwd=clone, check=True, capture_output=True)
    shown = subprocess.run(
        [*dvc, "metrics", "show", "--json"], cwd=clone, check=True, capture_output=True, text=True
    )

    assert bundle_digest(clone / "workspace" / "outputs" / "bundle") == made.first.bundle_digest
    metrics = json.loads(shown.stdout)[""]["data"]["workspace/outputs/metrics.json"]["data"]
    assert metrics["holdout"]["auc"] == made.first.metrics["auc"]
    assert len(list((clone / "workspace" / "snapshot" / "events").iterdir())) == 23


def test_dvc_shows_the_plots_and_compares_the_metrics_of_two_trainings(
    site: Site, made: Made, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    site.git("clone", "--quiet", str(site.checkout), str(clone))
    dvc = [sys.executable, "-m", "dvc"]
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout

    run(*dvc, "remote", "modify", "--local", "holdfast", "url", site.runtime().settings.dvc_remote)
    run(*dvc, "config", "--local", "core.site_cache_dir", str(tmp_path / "site"))
    for trained in (made.first, made.shorter):
        for name in ("dvc.lock", "dvc.yaml", "params.yaml"):
            (clone / name).write_text(_lineage(site, trained, name))
        run(*dvc, "pull", "workspace/outputs/metrics.json", "workspace/outputs/plots")
        run("git", "add", "--all")
        run("git", *identity, "commit", "--quiet", "--message", trained.first_partition)

    (compared,) = json.loads(run(*dvc, "metrics", "diff", "--json", "HEAD~1", "HEAD")).values()
    drawn = json.loads(run(*dvc, "plots", "show", "--json"))

    assert compared["holdout.auc"]["old"] == made.first.metrics["auc"]
    assert compared["holdout.auc"]["new"] == made.shorter.metrics["auc"]
    assert "evaluation.calibration_error" in compared
    assert not drawn.get("errors")
    assert {"ROC curve", "Precision and recall", "Calibration", "Importance"} <= set(drawn["data"])
    (curve,) = drawn["data"]["Precision and recall"]
    lines = {point["field"] for point in curve["content"]["data"]["values"]}
    assert lines == {"precision", "chance"}, "the naive line stands beside the model's"


def test_what_was_measured_is_kept_with_the_version(site: Site, made: Made) -> None:
    runtime = site.runtime()
    version = register(made.first, runtime=runtime).model_version

    evaluation = runtime.registry.evaluation("flights", version)

    assert evaluation is not None
    assert evaluation.bundle_digest == made.first.bundle_digest
    assert evaluation.metrics["auc"].value == made.first.metrics["auc"]
    assert made.first.metrics["calibration_error"] == evaluation.calibration.error.value  # type: ignore[union-attr]
    assert runtime.registry.speed("flights", version) is not None
    plots = runtime.registry.plots("flights", version)
    assert plots is not None
    assert {path.name for path in plots.iterdir()} == set(TITLES)
    assert [path for path in evaluation.plots.values() if not (plots.parent / path).is_file()] == []
    card = document_markdown(model_card("flights", version, runtime=runtime))
    assert "ROC curve" in card
    assert "No search: each candidate was fitted once" in card


def test_days_that_two_trainings_share_are_kept_once(site: Site, made: Made) -> None:
    def day_files(trained: TrainedModel) -> dict[str, str]:
        lock = yaml.safe_load(_lineage(site, trained, "dvc.lock"))
        (snapshot,) = lock["stages"]["snapshot"]["outs"]
        digest = snapshot["md5"].removesuffix(".dir")
        cached = site.runtime().settings.dvc_cache / "files" / "md5" / digest[:2] / f"{digest[2:]}.dir"
        return {entry["relpath"]: entry["md5"] for entry in json.loads(cached.read_text())}

    longer, shorter = day_files(made.first), day_files(made.shorter)

    assert len(shorter) == 46  # 15 days and eight before them, of events and of labels
    assert shorter.items() <= longer.items()


def test_a_training_that_is_served_damaged_features_says_so_and_takes_them_from_the_remote(
    site: Site, made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    victim = _object(site, made.first, "workspace/features/2013-01-10.parquet")
    _flip_one_byte(victim)

    with caplog.at_level(logging.INFO, "pipelines.training"):
        other = train("flights", _LAST, runtime=site.with_training(candidates=["linear_model"]).runtime())

    assert "Stage 'features' is cached - skipping run" in caplog.text
    assert "damaged, such as that of workspace/features/2013-01-10.parquet" in caplog.text
    assert "1 object(s) were brought back from the DVC remote" in caplog.text
    assert file_md5(victim) == victim.parent.name + victim.name
    assert other.snapshot_digest == made.first.snapshot_digest
    assert other.bundle_digest != made.first.bundle_digest
    assert other.metrics["n_withheld_rows"] == made.first.metrics["n_withheld_rows"]
    assert site.workspaces == []


def test_a_model_is_rebuilt_from_the_remote_where_the_cache_is_damaged_the_lake_gone_and_the_code_another(
    site: Site, made: Made, version: str, tmp_path: Path
) -> None:
    settings = site.runtime().settings
    damaged = _object(site, made.shorter, "workspace/snapshot/events/2013-01-10.parquet")
    _flip_one_byte(damaged)
    for path in (settings.dvc_cache / "files").rglob("*"):
        if path.is_file() and path.suffix != ".dir" and path != damaged:
            path.unlink()
    lake = Path(settings.lake_uri).rename(tmp_path / "lake")
    quality = site.checkout / "pipelines" / "metrics" / "quality.py"
    before, told = quality.read_text(), []
    quality.write_text("raise RuntimeError('of today')\n")
    try:
        found = reproduce("flights", version, runtime=site.runtime(), progress=told.append)
    finally:
        quality.write_text(before)
        lake.rename(settings.lake_uri)

    assert found.is_identical
    assert found.rebuilt_digest == made.shorter.bundle_digest
    assert found.damaged == ("workspace/snapshot/events/2013-01-10.parquet",)
    assert (found.sources, found.lost) == ({"remote": 46}, ())
    assert (found.is_dirty, found.is_code_confirmed, found.environment_changes) == (True, True, ())
    assert {"workspace/outputs/bundle/weights.safetensors", "workspace/outputs/metrics.json"} <= {
        file.path for file in found.files
    }
    assert any("1 object(s) of the DVC cache are damaged" in sentence for sentence in told)
    assert site.workspaces == []


def test_a_broken_query_is_a_mistake_in_the_project_and_leaves_no_workspace(site: Site, made: Made) -> None:
    query = site.checkout / "pipelines" / "features" / "sql" / "flights.sql"
    before = query.read_text()
    query.write_text("SELECT nonsense FROM events")
    try:
        with pytest.raises(ConfigError, match=r"features\.sql .*flights\.sql: .*nonsense"):
            train("flights", _LAST, runtime=site.runtime())
    finally:
        query.write_text(before)

    assert not site.workspaces
