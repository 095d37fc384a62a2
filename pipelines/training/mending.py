"""Find what DVC's cache gave out damaged, say so, and bring it back."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pipelines.errors import EngineError, IntegrityError
from pipelines.training.dvc_objects import ObjectCache, Output, Survey, content_digest, read_outputs
from pipelines.training.workspace import Workspace

_LOG = logging.getLogger(__name__)
_MAX_NAMED = 3


@dataclass(frozen=True)
class Mended:
    """What was wrong with some objects of the cache, by the files that they stand for.

    ``damaged`` had other bytes than their names say, ``missing`` were not there (of a folder whose own
    object is lost, the files are not known, and count as one); ``fetched`` came from the remote. ``lost``
    is what the remote could not give back either, by the name of the object, and ``error`` what it said.
    """

    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


def require_inputs(project: Path, stage: str) -> None:
    """Hash again what a stage is about to read of the stages before it.

    Raises
    ------
    IntegrityError
        If it is not what ``dvc.lock`` names.
    """
    lock = project / "dvc.lock"
    if not lock.is_file():
        return
    stages = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    deps = [Path(path) for path in stages[stage].get("deps", [])]
    read = [
        output
        for output in read_outputs(lock.read_text(encoding="utf-8"))
        if any(path.is_relative_to(output.path) for path in deps)
    ]
    if wrong := wrong_outputs(project, read):
        named = _named([output.path for output in wrong])
        raise IntegrityError(
            f"{named} in {project}: the bytes are not those that dvc.lock names. The DVC cache is damaged "
            "from which they came."
        )


def wrong_outputs(project: Path, outputs: Sequence[Output]) -> list[Output]:
    """Return the outputs that are not, in the workspace, what the lock names."""
    return [output for output in outputs if content_digest(project / output.path) != output.md5]


def mend_workspace(workspace: Workspace, cache: ObjectCache) -> bool:
    """Hash every output in a workspace, and its objects in the cache; bring back what is damaged.

    What is wrong in the workspace is removed: the next ``dvc repro`` takes it from the cache, or makes
    it anew where the remote has no good copy either.

    Returns
    -------
    bool
        Whether anything in the workspace was wrong.
    """
    outputs = read_outputs(workspace.lock)
    wrong = wrong_outputs(workspace.root, outputs)
    found = cache.survey(outputs)
    if found.is_whole and not wrong:
        return False
    tell_damage(sorted(found.damaged.values()), [output.path for output in wrong])
    _discard(cache, found)
    for output in outputs:
        if output in wrong:
            _remove(workspace.root / output.path)
        elif kept := cache.keep(output, workspace.root / output.path):
            _LOG.info("%d object(s) were put back from %s of the workspace.", len(kept), output.path)
    tell_recovery(restore_objects(workspace, cache, outputs))
    return bool(wrong)


def restore_objects(workspace: Workspace, cache: ObjectCache, outputs: Sequence[Output]) -> Mended:
    """Hash every object of the outputs; fetch from the remote what is damaged or missing, and hash that.

    A damaged object is taken out of the cache first, so that nobody else is served it.
    """
    before = cache.survey(outputs)
    if before.is_whole:
        return Mended()
    _discard(cache, before)
    error = ""
    try:
        workspace.dvc("fetch")
    except EngineError as failure:
        error = str(failure)
    after = cache.survey(outputs)
    _discard(cache, after)
    return Mended(
        damaged=tuple(sorted(before.damaged.values())),
        missing=tuple(sorted(before.missing.values())),
        fetched=tuple(sorted(path for name, path in after.good.items() if name not in before.good)),
        lost={**after.missing, **after.damaged},
        error=error,
    )


def tell_damage(objects: Sequence[str], outputs: Sequence[str] = ()) -> None:
    """Say on the log which objects of the cache are damaged, and what was checked out of them."""
    if objects:
        _LOG.warning(
            "%d object(s) of the DVC cache are damaged, such as that of %s: they were taken out.",
            len(objects),
            _named(objects),
        )
    if outputs:
        _LOG.warning("What DVC checked out of its cache is damaged: %s. It is done again.", _named(outputs))


def tell_recovery(mended: Mended) -> None:
    """Say on the log what came back from the remote, and what did not."""
    if mended.fetched:
        _LOG.warning("%d object(s) were brought back from the DVC remote.", len(mended.fetched))
    for name, path in list(mended.lost.items())[:_MAX_NAMED]:
        _LOG.warning(
            "The DVC remote has no good copy of %s (files/md5/%s/%s): it is made anew. If a damaged one lies "
            "there, remove it, so that the next push replaces it.",
            path,
            name[:2],
            name[2:],
        )


def _discard(cache: ObjectCache, survey: Survey) -> None:
    for name in survey.damaged:
        cache.discard(name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return ", ".join(paths[:_MAX_NAMED]) + more
