"""A folder of its own for each training: DVC runs there, and the checkout never changes.

The workspace shares the checkout's git objects and the one DVC cache; its lock, its state and its
``params.yaml`` are its own, so that several trainings run at once.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from pipelines.config import Params, Settings, TrainingRun
from pipelines.errors import EngineError
from pipelines.training.checkout import Code

_LOG = logging.getLogger(__name__)

# A stage sees these and HOLDFAST_*, and nothing else that happens to be set where the training starts.
# The last one is the mark by which `holdfast down` knows whatever the embedded stack started.
_PASSED_ON = (
    *("HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "NO_PROXY", "no_proxy"),
    "_HOLDFAST_STACK_ID",
)
_PASSED_ON_PREFIXES = ("LC_", "AWS_", "CUDA_", "NVIDIA_", "SSL_CERT_")
_KEPT_SECONDS = 7 * 24 * 3600
_TAIL_LINES = 25
_TAIL_CHARS = 1_200


class Workspace:
    """One training's folder.

    Parameters
    ----------
    root : Path
        A copy of the code, as the checkout has it.
    settings : Settings
        Where things live; a stage gets them as they are, but for the project, which is ``root``.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self.root = root
        self._settings = settings

    def fill_in(self, params: Params, run: TrainingRun, inputs: Mapping[str, str]) -> None:
        """Write ``params.yaml`` with every default spelt out, DVC's own settings, and the input files.

        Parameters
        ----------
        inputs : mapping of str to str
            The text of each file of ``workspace/inputs``.
        """
        filled = params.model_copy(update={"run": run}).model_dump(mode="json")
        # Dates stay quoted strings: a bare one would be read as a date, which DVC refuses.
        text = yaml.safe_dump(filled, sort_keys=False)
        self.lay_out(text.encode(), {name: content.encode() for name, content in inputs.items()})

    def lay_out(self, params: bytes, inputs: Mapping[str, bytes]) -> None:
        """Write ``params.yaml`` and the input files as they are given, and DVC's own settings."""
        (self.root / "params.yaml").write_bytes(params)
        (self.root / ".dvc" / "config.local").write_text(self._dvc_config(), encoding="utf-8")
        folder = self.root / "workspace" / "inputs"
        folder.mkdir(parents=True)
        for name, content in inputs.items():
            (folder / name).write_bytes(content)

    def _dvc_config(self) -> str:
        remote = {"url": _absolute(self._settings.dvc_remote)}
        if self._settings.s3_endpoint_url and self._settings.dvc_remote.startswith("s3://"):
            remote["endpointurl"] = self._settings.s3_endpoint_url
        sections = {
            "core": {"site_cache_dir": str(self.root / ".dvc" / "tmp" / "site")},
            "cache": {"dir": _absolute(str(self._settings.dvc_cache))},
            "'remote \"holdfast\"'": remote,
        }
        return "".join(
            f"[{section}]\n" + "".join(f'    {key} = "{value}"\n' for key, value in values.items())
            for section, values in sections.items()
        )

    def dvc(self, *arguments: str, n_threads: int = 1) -> None:
        """Run one DVC command in the workspace, and log its output line by line.

        Raises
        ------
        EngineError
            If it fails; ends with the last lines that it wrote.
        """
        _run([sys.executable, "-m", "dvc", *arguments], self.root, self.environ(n_threads))

    @property
    def lock(self) -> str:
        """The text of ``dvc.lock``: the stages that are done; empty where none is."""
        path = self.root / "dvc.lock"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Run a program in the workspace, and log its output line by line; raises as :meth:`dvc`."""
        _run(command, self.root, environ)

    def environ(self, n_threads: int) -> dict[str, str]:
        """Return the environment of DVC and its stages."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
        }
        places = {
            f"HOLDFAST_{field.upper()}": str(value)
            # A stage tells nobody anything: it has no need of people's addresses, which are secrets.
            for field, value in self._settings.model_dump(exclude={"notify_urls"}).items()
            if value is not None
        }
        return {
            **inherited,
            **places,
            "HOLDFAST_LAKE_URI": _absolute(self._settings.lake_uri),
            "HOLDFAST_PROJECT": str(self.root),
            "HOLDFAST_PARAMS": str(self.root / "params.yaml"),
            # The stages' `python` is ours, and its `pipelines` the workspace's, before an installed one.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": str(self.root),
            "PYTHONUNBUFFERED": "1",
            # Pinned: more threads give other bits, and trainings that run at once fight for the cores.
            "OMP_NUM_THREADS": str(n_threads),
            "MKL_NUM_THREADS": str(n_threads),
            "OPENBLAS_NUM_THREADS": str(n_threads),
            "DVC_NO_ANALYTICS": "1",
            "DO_NOT_TRACK": "1",
        }


@contextmanager
def open_workspace(code: Code, name: str, settings: Settings) -> Iterator[Workspace]:
    """Make a workspace that holds ``code``; remove it at the end, or keep it for a week if it failed.

    Raises
    ------
    EngineError
        What failed inside, with the path of the workspace that was kept.
    """
    parent = settings.home / "workspaces"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_old(parent)
    root = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    try:
        code.materialise(root)
        yield Workspace(root, settings)
    except EngineError as error:
        raise type(error)(f"{error}\nThe workspace is kept for a look: {root}") from error
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    shutil.rmtree(root, ignore_errors=True)


def _remove_old(parent: Path) -> None:
    """Remove what failed, or was killed, long ago, so that workspaces don't pile up."""
    oldest = time.time() - _KEPT_SECONDS
    for path in parent.iterdir():
        if not path.name.startswith(".") and path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)


def _absolute(place: str) -> str:
    """Return a folder's full path: DVC and the stages do not start where we did; a URL stays as it is."""
    return place if "://" in place else str(Path(place).resolve())


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - we asked for a pipe
            for line in process.stdout:
                if line.strip():
                    tail.append(line.rstrip())
                    _LOG.info("%s", tail[-1])
            status = process.wait()
        except BaseException:
            # Whoever stops us stops the stages too: they are a session of their own.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status != 0:
        said = "\n".join(tail)[-_TAIL_CHARS:]
        told = " ".join(command[2:] if command[1:2] == ["-m"] else command)
        raise EngineError(f"`{told}` ended with status {status}:\n{said}")
