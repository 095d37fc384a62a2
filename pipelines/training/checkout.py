"""What exactly the code of a training is: the checkout as its person sees it, uncommitted changes included.

The working tree is taken down as one git tree, in an object store of our own: nothing is written to
the checkout, not even to its ``.git``, and what is digested is what later runs, whatever is edited
meanwhile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigError, EngineError, IntegrityError

_MAX_UNTRACKED_BYTES = 64 * 2**20
_MAX_ERROR_CHARS = 600


@dataclass(frozen=True)
class Code:
    """The code of one training.

    Parameters
    ----------
    checkout : Path
        The root of the git repository it was taken from.
    commit : str
        The commit that is checked out.
    tree : str
        Git's digest of the working tree, uncommitted changes included: same tree, same code.
    patch : bytes
        What turns the commit's tree into it, as ``git apply`` takes it; empty if nothing does.
    objects : Path
        Git objects of the tree that the checkout's own store lacks.
    """

    checkout: Path
    commit: str
    tree: str
    patch: bytes
    objects: Path

    @property
    def is_dirty(self) -> bool:
        """Whether the working tree differs from the commit."""
        return bool(self.patch)

    def materialise(self, folder: Path) -> None:
        """Make ``folder`` a git repository that holds the tree, sharing the checkout's objects.

        Raises
        ------
        EngineError
            If git fails.
        """
        shared = _git(self.checkout, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        shallow = Path(_git(self.checkout, "rev-parse", "--path-format=absolute", "--git-path", "shallow"))
        object_format = _git(self.checkout, "rev-parse", "--show-object-format")
        _git(folder, "init", "--quiet", "--template=", f"--object-format={object_format}")
        store = folder / ".git" / "objects"
        shutil.copytree(self.objects, store, dirs_exist_ok=True)
        (store / "info").mkdir(exist_ok=True)
        (store / "info" / "alternates").write_text(f"{shared}\n", encoding="utf-8")
        if shallow.is_file():
            shutil.copy(shallow, folder / ".git" / "shallow")
        _git(folder, "update-ref", "--no-deref", "HEAD", self.commit)
        _git(folder, "read-tree", "-u", "--reset", self.tree)


def capture_code(checkout: Path, scratch: Path) -> Code:
    """Take down the checkout's working tree: tracked files as they are now, and new ones not ignored.

    Parameters
    ----------
    scratch : Path
        An empty folder that lives as long as the result is used.

    Raises
    ------
    ConfigError
        If ``checkout`` is not the root of a git repository with a commit, or holds too much that is
        neither committed nor ignored.
    EngineError
        If git fails.
    """
    commit = _require_repository(checkout)
    _require_small(checkout)
    apart = _own_store(checkout, scratch)
    real_index = Path(_git(checkout, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    if real_index.is_file():
        # Spares git from reading every unchanged file. The copy keeps its time: by it, git knows which
        # files may have changed within the index's own second.
        shutil.copy2(real_index, scratch / "index")
    _git(checkout, "add", "--all", environ=apart)
    tree = _git(checkout, "write-tree", environ=apart)
    patch = _run_git(checkout, "diff", "--binary", "--no-ext-diff", commit, tree, environ=apart)
    return Code(checkout=checkout, commit=commit, tree=tree, patch=patch, objects=scratch / "objects")


def recorded_code(checkout: Path, commit: str, patch: bytes, scratch: Path) -> Code:
    """Return the code of a training of the past: a commit, and what was not committed then.

    Parameters
    ----------
    patch : bytes
        As :attr:`Code.patch` gave it; empty where nothing was uncommitted.
    scratch : Path
        As for :func:`capture_code`.

    Raises
    ------
    ConfigError
        If ``checkout`` is no git repository, or does not know the commit.
    IntegrityError
        If the patch does not apply to the commit.
    EngineError
        If git fails.
    """
    _require_repository(checkout)
    try:
        _git(checkout, "cat-file", "-e", f"{commit}^{{commit}}")
    except EngineError as error:
        raise ConfigError(
            f"The git repository {checkout} does not know the commit {commit}: fetch it (`git fetch --all`, "
            "or from the clone in which the model was trained)."
        ) from error
    apart = _own_store(checkout, scratch)
    _git(checkout, "read-tree", commit, environ=apart)
    if patch:
        (scratch / "patch").write_bytes(patch)
        try:
            apply = ("apply", "--cached", "--binary", "--whitespace=nowarn")
            _git(checkout, *apply, str(scratch / "patch"), environ=apart)
        except EngineError as error:
            raise IntegrityError(
                f"The uncommitted changes on record do not apply to the commit {commit}: {error}"
            ) from error
    tree = _git(checkout, "write-tree", environ=apart)
    return Code(checkout=checkout, commit=commit, tree=tree, patch=patch, objects=scratch / "objects")


def _own_store(checkout: Path, scratch: Path) -> dict[str, str]:
    """Return the environment in which git writes an index and objects into ``scratch`` alone."""
    objects = scratch / "objects"
    objects.mkdir()
    return {
        "GIT_INDEX_FILE": str(scratch / "index"),
        "GIT_OBJECT_DIRECTORY": str(objects),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": _git(
            checkout, "rev-parse", "--path-format=absolute", "--git-path", "objects"
        ),
    }


def _require_repository(checkout: Path) -> str:
    """Return the commit that is checked out."""
    try:
        root = _git(checkout, "rev-parse", "--show-toplevel")
    except EngineError as error:
        raise ConfigError(
            f"{checkout} is not a git repository, and a model must name the commit that made it: "
            "clone Holdfast with git, or point HOLDFAST_PROJECT at such a clone."
        ) from error
    if Path(root).resolve() != checkout.resolve():
        raise ConfigError(
            f"{checkout} lies inside the git repository {root} but is not its root: "
            "point HOLDFAST_PROJECT at the root of a clone of Holdfast."
        )
    try:
        return _git(checkout, "rev-parse", "--verify", "HEAD^{commit}")
    except EngineError as error:
        raise ConfigError(f"{checkout} has no commit yet: commit it, so that a model can name it.") from error


def _require_small(checkout: Path) -> None:
    listed = _run_git(checkout, "ls-files", "--others", "--exclude-standard", "-z")
    paths = [checkout / os.fsdecode(name) for name in listed.split(b"\0") if name]
    sizes = {path: path.lstat().st_size for path in paths if path.exists()}
    if sum(sizes.values()) > _MAX_UNTRACKED_BYTES:
        largest = max(sizes, key=lambda path: sizes[path])
        raise ConfigError(
            f"{checkout} holds {sum(sizes.values()) >> 20} MiB that are neither committed nor ignored, "
            f"such as {largest.name}: commit them, or name them in .gitignore, so that no training has to "
            "copy them."
        )


def _git(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
    return os.fsdecode(_run_git(folder, *arguments, environ=environ)).strip()


def _run_git(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> bytes:
    # Variables such as GIT_DIR, which git sets for its hooks, would lead to another repository. One
    # owned by another user (a mounted one, in a container) is as good as one's own: nothing of it runs.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
    ]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=inherited | dict(environ or {}),
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ConfigError("The program `git` is not installed, and a training needs it.") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-_MAX_ERROR_CHARS:]
        raise EngineError(f"`git {arguments[0]}` failed in {folder}: {said or f'status {done.returncode}'}")
    return done.stdout
