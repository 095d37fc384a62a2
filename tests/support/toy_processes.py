"""What the toy world's steps do in processes of their own, at the same moment, or until they are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from toy_world import DATASET
from warm_processes import warm_processes

from pipelines.config import Params, Settings
from pipelines.records import Record, TrainedModel
from pipelines.runtime import Runtime
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.steps.rollback import rollback

Step = Callable[[Runtime], Record]
_SECONDS = 120


def promoting(model_version: str) -> Step:
    """Return the promotion of a version."""
    return partial(_promote, model_version)


def registering(trained: TrainedModel) -> Step:
    """Return the registration of a training."""
    return partial(_register, trained)


def rolling_back() -> Step:
    """Return a rollback to the champion before."""
    return _roll_back


def at_once(runtime: Runtime, steps: list[Step]) -> list[dict[str, Any]]:
    """Run every step in a process of its own, all from one starting signal; return what they returned."""
    context = warm_processes()
    barrier, answers = context.Barrier(len(steps)), context.Queue()
    processes = [
        context.Process(target=_run, args=(step, runtime.settings, runtime.params, barrier, answers))
        for step in steps
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=_SECONDS) for _ in steps]
    for process in processes:
        process.join(_SECONDS)
    return found


def killed_at(runtime: Runtime, step: Step, *, port: str, method: str) -> int | None:
    """Run a step in a process that is killed, as by ``kill -9``, where it calls a method of a port."""
    process = warm_processes().Process(
        target=_run_until, args=(step, runtime.settings, runtime.params, port, method)
    )
    process.start()
    process.join(_SECONDS)
    return process.exitcode


def _run(step: Step, settings: Settings, params: Params, barrier: Barrier, answers: Any) -> None:
    runtime = Runtime(settings=settings, params=params)
    assert runtime.ledger
    assert runtime.registry
    barrier.wait(_SECONDS)
    try:
        answers.put(step(runtime).to_json())
    except Exception as error:  # noqa: BLE001 - told to the test
        answers.put({"error": repr(error)})


def _run_until(step: Step, settings: Settings, params: Params, port: str, method: str) -> None:
    runtime = Runtime(settings=settings, params=params)
    # An attribute of the instance hides the method: the step meets the real port up to here.
    setattr(getattr(runtime, port), method, _die)
    step(runtime)


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _promote(model_version: str, runtime: Runtime) -> Record:
    return promote(DATASET, model_version, runtime=runtime, actor="race")


def _register(trained: TrainedModel, runtime: Runtime) -> Record:
    return register(trained, runtime=runtime)


def _roll_back(runtime: Runtime) -> Record:
    return rollback(DATASET, runtime=runtime, actor="race", reason="odd")
