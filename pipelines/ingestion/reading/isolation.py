"""Run the process that parses, and turn its end into one of our errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import EngineError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading.batches import StagedContent
from pipelines.ingestion.reading.options import ReadingOptions

_MODULE = "pipelines.ingestion.reading.worker"
_ROOT = Path(__file__).resolve().parents[3]
# Ends that the bytes can bring about; any other signal was sent by somebody.
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
_ERRORS: dict[str, type[HoldfastError]] = {"SchemaError": SchemaError, "SourceError": SourceError}
_MAX_LAST_WORDS = 1_000


@dataclass(frozen=True)
class ParsingTask:
    """One file to parse: where it lies, what it is called, and where its staged file goes."""

    path: Path
    name: str
    target: Path


def parse_files(tasks: Sequence[ParsingTask], options: ReadingOptions) -> list[StagedContent | HoldfastError]:
    """Parse files in a process of its own; a file that ends it costs no other file anything.

    Returns
    -------
    list of StagedContent or HoldfastError
        For each task what was staged, or why its file can't be (a SchemaError, a SourceError).

    Raises
    ------
    EngineError
        If the process fails for a reason that is not in the files.
    """
    outcomes: list[StagedContent | HoldfastError] = []
    while len(outcomes) < len(tasks):
        outcomes += _run(tasks[len(outcomes) :], options)
    return outcomes


def _run(tasks: Sequence[ParsingTask], options: ReadingOptions) -> list[StagedContent | HoldfastError]:
    """Parse files until one of them ends the process; give at least one outcome."""
    work = {
        "options": options.to_json(),
        "tasks": [{"path": str(task.path), "name": task.name, "target": str(task.target)} for task in tasks],
    }
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as told:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", _MODULE],
            input=json.dumps(work).encode(),
            stdout=told,
            stderr=complaints,
            env=_environment(),
            check=False,
        )
        told.seek(0)
        lines = [json.loads(line) for line in told if line.endswith(b"\n")]
        complaints.seek(max(complaints.seek(0, os.SEEK_END) - _MAX_LAST_WORDS, 0))
        last_words = complaints.read().decode(errors="replace")
    outcomes = [
        _outcome(line, tasks[line["task"]].name, options) for line in lines if line["event"] != "started"
    ]
    if len(outcomes) == len(tasks):
        return outcomes
    is_parsing = len(lines) > 2 * len(outcomes)
    if is_parsing and -ended.returncode in _CRASHES:
        return [*outcomes, _unreadable(tasks[len(outcomes)].name, options)]
    raise EngineError(
        f"The process that parses files ended before its work was done (status {ended.returncode}): "
        f"{' '.join(last_words.split()) or 'it said nothing; was it killed?'}"
    )


def _outcome(told: dict[str, object], name: str, options: ReadingOptions) -> StagedContent | HoldfastError:
    if told["event"] == "too_large":
        return _unreadable(name, options)
    if told["event"] == "failed":
        return _ERRORS.get(str(told["error"]), EngineError)(str(told["message"]))
    content = told["content"]
    assert isinstance(content, dict)  # noqa: S101 - the worker's own words
    return StagedContent(**content | {"columns": tuple(content["columns"])})


def _unreadable(name: str, options: ReadingOptions) -> SchemaError:
    return SchemaError(
        f"{name} can't be read within {options.max_memory_bytes / 1024**3:.3g} GiB; it may be damaged. "
        "If it is not, raise source.limits.max_memory_bytes."
    )


def _environment() -> dict[str, str]:
    """Return the environment of a process that reads untrusted bytes: without credentials."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "HOLDFAST_", "AIRFLOW_"))
    }
    path = os.pathsep.join(filter(None, [str(_ROOT), kept.get("PYTHONPATH")]))
    # Arrow's own allocators set more aside than they use, and the limit counts it.
    return kept | {
        "PYTHONPATH": path,
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
