"""Train a model again from its record, and hold every file to what the first training left."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.bundle.files import bundle_digest
from pipelines.errors import IntegrityError
from pipelines.records import ReproducedFile, Reproduction, TrainedModel, digest_of
from pipelines.registry.challengers import training_record
from pipelines.runtime import Runtime
from pipelines.steps.show import resolve_version
from pipelines.steps.stages import StageFolder
from pipelines.training.checkout import Code, recorded_code
from pipelines.training.dvc_objects import ObjectCache, Output, content_digest, read_outputs
from pipelines.training.environment import compare_environments, describe_environment, environment_digest
from pipelines.training.identity import training_key
from pipelines.training.mending import Mended, restore_objects
from pipelines.training.repeating import params_to_repeat
from pipelines.training.snapshot import Snapshot
from pipelines.training.snapshot_files import count_sources, gather_snapshot
from pipelines.training.turns import turn
from pipelines.training.workspace import Workspace, open_workspace

_SNAPSHOT = "workspace/snapshot"
_BUNDLE = "workspace/outputs/bundle"
# What describes the training; all else that it left beside the model is an input of its stages.
_NO_INPUTS = frozenset({"dvc.lock", "dvc.yaml", "params.yaml", "uncommitted.patch"})
Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Recorded:
    """What a training left to repeat it by, held to the digests that the ledger names."""

    trained: TrainedModel
    files: Mapping[str, bytes]
    snapshot: Snapshot
    config: Mapping[str, Any]

    @property
    def environment(self) -> str:
        return self.files["environment.txt"].decode()

    @property
    def outputs(self) -> list[Output]:
        return read_outputs(self.files.get("dvc.lock", b"").decode())


def reproduce(
    dataset: str, reference: str, *, runtime: Runtime, progress: Progress = lambda _: None
) -> Reproduction:
    """Rebuild a model version from what is on record, and compare every file with what was made then.

    The code comes from the commit and the patch on record, the days from the DVC cache (else its remote,
    else the lake), and each of them is hashed. All stages run anew, on the CPU, in a workspace of their own:
    neither DVC's memory of past runs nor the checkout has a part in it.

    Parameters
    ----------
    reference : str
        ``champion``, ``challenger``, or a version.
    progress : callable, optional
        Told what is being done, a sentence at a time.

    Returns
    -------
    Reproduction
        Also where files differ; what was rebuilt is then kept for a look.

    Raises
    ------
    ConfigError
        If there is no such version, or the checkout does not know its commit.
    NotReadyError
        If a day that it learned from is nowhere any more.
    IntegrityError
        If what is on record is not what the ledger's digests say.
    EngineError
        If a stage, git, DVC or MLflow fails.
    """
    version = resolve_version(dataset, reference, runtime=runtime)
    trained = training_record(dataset, version, ledger=runtime.ledger).trained
    recorded = _read_record(trained, runtime)
    locks = runtime.settings.home / "workspaces" / ".locks"
    with tempfile.TemporaryDirectory(prefix="holdfast-code-") as scratch, turn(locks, _n_threads(recorded)):
        patch = recorded.files.get("uncommitted.patch", b"")
        code = recorded_code(runtime.settings.project, trained.code_commit, patch, Path(scratch))
        with open_workspace(code, f"{dataset}-v{version}", runtime.settings) as workspace:
            sources, mended = _lay_out(workspace, recorded, runtime, progress)
            _run_stages(workspace, _n_threads(recorded), progress)
            return _compare(workspace, version, recorded, runtime).model_copy(
                update={
                    "sources": sources,
                    "damaged": mended.damaged,
                    "missing": mended.missing,
                    "lost": tuple(sorted(mended.lost.values())),
                    "is_code_confirmed": _key(recorded, code) == trained.training_key,
                }
            )


def _read_record(trained: TrainedModel, runtime: Runtime) -> _Recorded:
    files = runtime.registry.lineage_files(trained)
    if missing := {"snapshot.json", "params.yaml", "environment.txt"} - files.keys():
        raise IntegrityError(
            f"The run {trained.mlflow_run_id} of MLflow lacks lineage/{min(missing)}: the model can't be "
            "rebuilt without it. Restore the artifacts of MLflow from a backup."
        )
    params = yaml.safe_load(files["params.yaml"]) or {}
    config = params.get("datasets", {}).get(trained.dataset, {})
    try:
        snapshot = Snapshot.model_validate_json(files["snapshot.json"])
    except ValidationError as error:
        raise _changed("snapshot.json", trained) from error
    for name, found, expected in (
        ("snapshot.json", snapshot.digest, trained.snapshot_digest),
        ("params.yaml", digest_of(config), trained.config_digest),
        (
            "environment.txt",
            environment_digest(files["environment.txt"].decode()),
            trained.environment_digest,
        ),
    ):
        if found != expected:
            raise _changed(name, trained)
    return _Recorded(trained, files, snapshot, config)


def _changed(name: str, trained: TrainedModel) -> IntegrityError:
    return IntegrityError(
        f"lineage/{name} of the run {trained.mlflow_run_id} in MLflow is not what the ledger says that the "
        "training left: it was changed afterwards. Restore it from a backup."
    )


def _lay_out(
    workspace: Workspace, recorded: _Recorded, runtime: Runtime, progress: Progress
) -> tuple[dict[str, int], Mended]:
    """Fill the workspace with everything that the first training was given."""
    inputs = {name: content for name, content in recorded.files.items() if name not in _NO_INPUTS}
    n_trials = int(recorded.trained.metrics.get("search_n_trials", 0))
    workspace.lay_out(params_to_repeat(recorded.files["params.yaml"], n_trials=n_trials), inputs)
    cache, mended = ObjectCache(runtime.settings.dvc_cache), Mended()
    if "dvc.lock" in recorded.files:
        progress("hashing every object of the training in the DVC cache")
        lock = workspace.root / "dvc.lock"
        lock.write_bytes(recorded.files["dvc.lock"])
        mended = restore_objects(workspace, cache, recorded.outputs)
        # The stages run on what they find here, and their results are compared at the end.
        lock.unlink()
        _tell(mended, progress)
    kept = _kept(recorded, cache)
    folder = workspace.root / _SNAPSHOT
    from_lake = gather_snapshot(recorded.snapshot, folder, cache=cache, kept=kept, lake=runtime.lake)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")]
    fetched = {path.removeprefix(f"{_SNAPSHOT}/") for path in mended.fetched}
    return count_sources(files, fetched=fetched, from_lake=from_lake), mended


def _kept(recorded: _Recorded, cache: ObjectCache) -> dict[str, str]:
    """Return the object of each file of the snapshot; none where the cache does not know them."""
    named = [cache.files(output) or {} for output in recorded.outputs if output.path == _SNAPSHOT]
    return {path.removeprefix(f"{_SNAPSHOT}/"): md5 for files in named for path, md5 in files.items()}


def _tell(mended: Mended, progress: Progress) -> None:
    for paths, what in ((mended.damaged, "damaged"), (mended.missing, "missing")):
        if paths:
            progress(f"{len(paths)} object(s) of the DVC cache are {what}, such as that of {paths[0]}")
    if mended.fetched:
        progress(f"{len(mended.fetched)} object(s) were brought back from the DVC remote, and hashed")
    if mended.lost:
        progress(f"{len(mended.lost)} object(s) have no good copy on the DVC remote")


def _run_stages(workspace: Workspace, n_threads: int, progress: Progress) -> None:
    stages = yaml.safe_load((workspace.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    # The code of then may not know a place of today; and nothing that is kept at home must help.
    places = {"HOLDFAST_PROJECT", "HOLDFAST_PARAMS"}
    environ = {
        name: value
        for name, value in workspace.environ(n_threads).items()
        if not name.startswith("HOLDFAST_") or name in places
    }
    environ |= {"HOLDFAST_HOME": str(workspace.root / "workspace" / "home"), "HOLDFAST_DEVICE": "cpu"}
    wanted = {name: stage["cmd"] for name, stage in stages.items() if _SNAPSHOT not in stage.get("outs", [])}
    for number, (name, command) in enumerate(wanted.items(), 1):
        progress(f"stage {name} ({number} of {len(wanted)})")
        workspace.run(shlex.split(command), environ)


def _compare(workspace: Workspace, version: str, recorded: _Recorded, runtime: Runtime) -> Reproduction:
    trained = recorded.trained
    files = _compared(workspace.root, version, recorded, runtime)
    rebuilt = bundle_digest(StageFolder(workspace.root).bundle)
    is_identical = rebuilt == trained.bundle_digest and all(file.is_same for file in files)
    return Reproduction(
        dataset=trained.dataset,
        model_version=version,
        candidate=trained.candidate,
        is_identical=is_identical,
        bundle_digest=trained.bundle_digest,
        rebuilt_digest=rebuilt,
        files=tuple(files),
        n_days=len(recorded.snapshot.training_days),
        sources={},
        code_commit=trained.code_commit,
        is_dirty=trained.is_dirty,
        is_code_confirmed=False,
        environment_changes=tuple(compare_environments(recorded.environment, describe_environment())),
        kept_at="" if is_identical else str(_keep(workspace, f"{trained.dataset}-v{version}", runtime)),
    )


def _compared(root: Path, version: str, recorded: _Recorded, runtime: Runtime) -> list[ReproducedFile]:
    """Return every file that a stage left, then and now; a folder whose files are not known counts as one."""
    cache = ObjectCache(runtime.settings.dvc_cache)
    expected: dict[str, str] = {}
    for output in recorded.outputs:
        if output.path not in (_SNAPSHOT, _BUNDLE):
            expected |= cache.files(output) or {output.path: output.md5}
    bundle = runtime.registry.bundle(recorded.trained.dataset, version)
    expected |= {f"{_BUNDLE}/{path.name}": content_digest(path) for path in sorted(bundle.iterdir())}
    return [
        ReproducedFile(path=path, recorded=md5, rebuilt=content_digest(root / path))
        for path, md5 in expected.items()
    ]


def _keep(workspace: Workspace, name: str, runtime: Runtime) -> Path:
    """Keep what was rebuilt, and differs, until the next repeat of the same model."""
    kept = runtime.settings.home / "reproductions" / name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(workspace.root / "workspace" / "outputs", kept)
    return kept


def _key(recorded: _Recorded, code: Code) -> str:
    trained = recorded.trained
    return training_key(
        trained.dataset,
        snapshot=trained.snapshot_digest,
        config=trained.config_digest,
        code=code.tree,
        environment=trained.environment_digest,
        seed=recorded.config["training"]["seed"],
    )


def _n_threads(recorded: _Recorded) -> int:
    return int(recorded.config["training"]["n_threads"])
