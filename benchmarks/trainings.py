"""Sixteen trainings at once, every version pulled and rebuilt, also from a cache that is damaged or gone.

All of it in a clone of this checkout with a home of its own: three weeks of flights and small models.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import PROJECT_ROOT, load_params, load_settings
from pipelines.records import TrainingRecord, ValidationRecord, partition_range, shift_partition
from pipelines.registry.challengers import training_record
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.steps.reproduce import reproduce
from pipelines.training.checkout import capture_code
from pipelines.training.dvc_objects import ObjectCache, content_digest, read_outputs

DATASET = "flights"
N_AT_ONCE = 16
FIRST, NIGHT = "2013-01-01", "2013-02-08"
SMALL = {"holdout_days": 3, "min_days": 10, "max_iterations": 20, "max_epochs": 1}


@dataclass(frozen=True)
class Site:
    """A clone, its home, and the environment that leads every process to them."""

    clone: Path
    environ: dict[str, str]

    def runtime(self) -> Runtime:
        """Return a Runtime as another process would have it."""
        settings = load_settings({k: v for k, v in self.environ.items() if k.startswith("HOLDFAST_")})
        return Runtime(settings=settings, params=load_params(settings.params))

    def configure(self, **training: Any) -> None:
        """Write the params that the next training reads."""
        content = load_params(PROJECT_ROOT / "params.yaml").model_dump(mode="json")
        content["datasets"][DATASET]["training"] |= SMALL | training
        Path(self.environ["HOLDFAST_PARAMS"]).write_text(yaml.safe_dump(content), encoding="utf-8")

    def train(self, *arguments: str, night: str = NIGHT) -> subprocess.CompletedProcess[str]:
        """Train and register in a process of its own."""
        command = [sys.executable, "-m", "pipelines.cli", "train", DATASET, night, *arguments]
        return subprocess.run(
            command, cwd=self.clone, env=self.environ, capture_output=True, text=True, check=False
        )


def main(n_at_once: int = N_AT_ONCE) -> None:
    """Print what happened."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        site = _site(Path(folder))
        before = _files(site.clone)
        _at_once(site, n_at_once)
        print(f"the checkout, git's own files included, is as it was: {_files(site.clone) == before}")
        _pull_all(site, Path(folder))
        _one_more_day(site)
        _rebuild_families(site)


def _site(root: Path) -> Site:
    """Make a clone with this checkout's code, and a home with published flights."""
    clone, scratch = root / "clone", root / "scratch"
    clone.mkdir()
    scratch.mkdir()
    capture_code(PROJECT_ROOT, scratch).materialise(clone)
    environ = {
        **os.environ,
        "PYTHONPATH": str(clone),
        "OMP_NUM_THREADS": "1",
        "HOLDFAST_PROJECT": str(clone),
        "HOLDFAST_PARAMS": str(root / "params.yaml"),
        "HOLDFAST_HOME": str(root / "home"),
        "HOLDFAST_DEVICE": "cpu",
    }
    site = Site(clone, environ)
    site.configure(candidates=["hist_gradient_boosting"])
    runtime = site.runtime()
    ingest_range(DATASET, FIRST, NIGHT, runtime=runtime)
    _publish(runtime, runtime.lake.partition_keys(DATASET, "raw"))
    # MLflow's database is set up by whoever is first.
    runtime.registry.find_training(DATASET, "none")
    return site


def _publish(runtime: Runtime, keys: Sequence[str]) -> None:
    """Publish what landed as it is: nothing here is about suites."""
    for key in keys:
        rows = runtime.lake.read(DATASET, "raw", partitions=[key]).drop_columns(["miscast", "partition_key"])
        version = runtime.lake.replace(DATASET, "validated", key, rows)
        runtime.ledger.record(
            ValidationRecord(
                dataset=DATASET,
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


def _at_once(site: Site, n_at_once: int) -> None:
    started = time.perf_counter()
    days = partition_range(FIRST, NIGHT)[:n_at_once]
    with ThreadPoolExecutor(n_at_once) as pool:
        done = list(pool.map(lambda day: site.train("--first", day), days))
    failed = [run for run in done if run.returncode != 0]
    for run in failed:
        print(run.stderr[-800:])
    print(
        f"{n_at_once} trainings at once, each of other days: {len(failed)} failed, "
        f"{time.perf_counter() - started:.0f} s in all"
    )


def _pull_all(site: Site, root: Path) -> None:
    """Pull every version from the remote alone, with a cache of its own, and hash what came."""
    runtime, good = site.runtime(), 0
    records = runtime.ledger.history(TrainingRecord, DATASET)
    for record in records:
        pulled = root / f"pulled-{record.model_version}"
        files = runtime.registry.lineage_files(record.trained)
        subprocess.run(
            ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", str(site.clone), str(pulled)],
            check=True,
        )
        for name in ("dvc.lock", "dvc.yaml", "params.yaml"):
            (pulled / name).write_bytes(files[name])
        (pulled / ".dvc" / "config.local").write_text(
            f"[core]\n    site_cache_dir = {pulled}/.dvc/site\n[cache]\n    dir = {pulled}/.dvc/cache\n"
            f"['remote \"holdfast\"']\n    url = {runtime.settings.dvc_remote}\n",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "dvc", "pull", "--quiet"]
        done = subprocess.run(command, cwd=pulled, env=site.environ, capture_output=True, check=False)
        outputs = read_outputs(files["dvc.lock"].decode())
        good += done.returncode == 0 and all(content_digest(pulled / o.path) == o.md5 for o in outputs)
    print(f"versions that pull, every file hashed: {good} of {len(records)}")


def _rebuild_families(site: Site) -> None:
    for candidate in load_params(PROJECT_ROOT / "params.yaml").dataset(DATASET).training.candidates:
        site.configure(candidates=[candidate])
        site.train().check_returncode()
        runtime = site.runtime()
        # Not that of one more day, which is of a later night.
        of_night = [r for r in runtime.ledger.history(TrainingRecord, DATASET) if r.partition_key == NIGHT]
        version = of_night[-1].model_version
        trained = training_record(DATASET, version, ledger=runtime.ledger).trained
        assert trained.candidate == candidate, trained.candidate
        cache = ObjectCache(runtime.settings.dvc_cache)
        outputs = read_outputs(runtime.registry.lineage_files(trained)["dvc.lock"].decode())
        _rebuild(runtime, version, "as it is")
        victim = next(name for name, path in cache.survey(outputs).good.items() if path.endswith(".parquet"))
        _flip_one_byte(cache.path_of(victim))
        _rebuild(runtime, version, "one byte of the cache flipped")
        _delete(runtime.settings.dvc_cache)
        _rebuild(runtime, version, "without the cache")


def _rebuild(runtime: Runtime, version: str, state: str) -> None:
    started = time.perf_counter()
    found = reproduce(DATASET, version, runtime=runtime)
    print(
        f"{found.candidate} v{version}, {state}: "
        f"{sum(f.is_same for f in found.files)} of {len(found.files)} files and the bundle alike: "
        f"{found.is_identical}; snapshot {found.sources}; damaged {list(found.damaged)}, "
        f"missing {len(found.missing)}, lost {len(found.lost)}; {time.perf_counter() - started:.0f} s"
    )


def _one_more_day(site: Site) -> None:
    """Train on one more day, with the files of every older day out of reach."""
    runtime = site.runtime()
    lake = Path(runtime.settings.lake_uri) / DATASET
    files = [path for table in ("validated", "labels") for path in (lake / table).rglob("*.parquet")]
    # The newest day of the training before had no labels yet, and was no part of it.
    old = [path for path in files if NIGHT not in path.parent.name]
    night = shift_partition(NIGHT, 1)
    ingest_range(DATASET, night, night, runtime=runtime)
    _publish(runtime, [night])
    n_bytes = sum(path.stat().st_size for path in old)
    hidden = {path: path.with_suffix(".hidden") for path in old}
    for path, away in hidden.items():
        path.rename(away)
    done = site.train(night=night)
    for path, away in hidden.items():
        away.rename(path)
    if done.returncode != 0:
        print(done.stderr[-800:])
    print(
        f"a training on one more day, with the {len(old)} files ({n_bytes:,} bytes) of the days before out "
        f"of reach: status {done.returncode}"
    )


def _flip_one_byte(path: Path) -> None:
    mode = path.stat().st_mode
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(content))
    path.chmod(mode)


def _delete(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def _files(folder: Path) -> dict[str, str]:
    paths: Sequence[Path] = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): content_digest(path) for path in paths if "__pycache__" not in path.parts}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
