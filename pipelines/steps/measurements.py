"""What was measured of a version: from a local copy where there is a good one, else from MLflow."""

from __future__ import annotations

import logging
from typing import NamedTuple

from pydantic import ValidationError

from pipelines.errors import HoldfastError
from pipelines.records import Evaluation, Speed, TrainingRecord
from pipelines.registry.local_copies import file_digest
from pipelines.runtime import Runtime
from pipelines.storage.whole_files import write_atomically

_log = logging.getLogger(__name__)


class Measurements(NamedTuple):
    """The evaluation and the speed of a version; ``unmeasured`` says why there is no evaluation."""

    evaluation: Evaluation | None
    speed: Speed | None
    unmeasured: str = ""


def known_measurements(record: TrainingRecord, *, runtime: Runtime) -> Measurements:
    """Return what was measured of a version; what can't be had is said, and raises nothing."""
    if not record.trained.evaluation_digest:
        return Measurements(None, None, "its training kept no evaluation; it is of an earlier release.")
    copy = _copied(record, runtime)
    if copy is not None:
        return copy
    try:
        evaluation = runtime.registry.evaluation(record.dataset, record.model_version)
        speed = runtime.registry.speed(record.dataset, record.model_version)
    except HoldfastError as error:
        return Measurements(None, None, f"its evaluation can't be read: {error}")
    if evaluation is None:
        return Measurements(None, None, "its evaluation is of a format that this release does not know.")
    if speed is not None:
        _keep(record, speed, runtime)
    return Measurements(evaluation, speed)


def _copied(record: TrainingRecord, runtime: Runtime) -> Measurements | None:
    """Return what copies say; the evaluation counts only in the bytes that are on record."""
    folder = runtime.settings.home / "models" / record.dataset / record.model_version
    try:
        if file_digest(folder / "evaluation.json") != record.trained.evaluation_digest:
            return None
        evaluation = Evaluation.model_validate_json((folder / "evaluation.json").read_bytes())
        speed = Speed.model_validate_json((folder / "speed.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return Measurements(evaluation, speed)


def _keep(record: TrainingRecord, speed: Speed, runtime: Runtime) -> None:
    folder = runtime.settings.home / "models" / record.dataset / record.model_version
    try:
        write_atomically(folder / "speed.json", speed.model_dump_json())
    except HoldfastError as error:
        # It is only a copy, and whoever looks may not be allowed to write here.
        _log.info("No copy is kept at %s: %s", folder, error)
