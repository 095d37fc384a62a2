"""Open a model in a fresh interpreter and score its golden rows: what a worker of production will do.

Whatever the training's process had imported, patched or cached is not there; the process knows the
bundle's folder, and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from pipelines.config import PROJECT_ROOT

_MODULE = "pipelines.scoring.clean_process"
_MAX_LAST_WORDS = 500
_MEGABYTE = 1e6


class CleanRun(NamedTuple):
    """What a fresh interpreter took, from its start until the golden rows were scored and repeated.

    ``megabytes`` is the most memory that it held; both are nan where it failed, and ``problem`` says why.
    """

    seconds: float
    megabytes: float
    problem: str | None = None


def run_in_clean_process(
    bundle_path: Path, digest: str, *, device: str, timeout_seconds: float | None
) -> CleanRun:
    """Open a bundle and score its golden rows in a fresh interpreter, and take its time and memory.

    Parameters
    ----------
    digest : str
        Of the bundle; the process must read the very same.
    device : {"auto", "cpu", "cuda"}
        Where it is to score.
    timeout_seconds : float, optional
        The process is killed when they are over.
    """
    # The very code that runs here, wherever it was imported from, and nothing from the working folder.
    paths = [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", _MODULE, str(bundle_path), device],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed(f"not done after {timeout_seconds:g} s")
    seconds = time.monotonic() - started
    if done.returncode:
        last_words = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        return _failed(last_words[0][:_MAX_LAST_WORDS])
    report = json.loads(done.stdout.splitlines()[-1])
    if report["digest"] != digest:
        return _failed(f"it read other bytes: digest {report['digest'][:16]}, not {digest[:16]}")
    return CleanRun(seconds, report["megabytes"])


def _failed(problem: str) -> CleanRun:
    return CleanRun(float("nan"), float("nan"), problem)


def _peak_megabytes() -> float:
    """Return the most memory that this process held; what its parent held does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        if peaks:
            return int(peaks[0]) * 1024 / _MEGABYTE
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / _MEGABYTE


def _main(bundle_path: str, device: str) -> None:
    from pipelines.errors import HoldfastError
    from pipelines.scoring.scorer import Scorer

    try:
        with Scorer.open(Path(bundle_path), device) as scorer:
            # Opening has scored the golden rows, and held them to the training library's.
            digest = scorer.digest
    except HoldfastError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps({"digest": digest, "megabytes": _peak_megabytes()}) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
