"""What was measured of a version and how it was found: from local copies where they are good, else MLflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipelines.errors import HoldfastError
from pipelines.records import Evaluation, Selection, Speed, TrainingRecord
from pipelines.registry.card.curves import DRAWN
from pipelines.registry.local_copies import file_digest, folder_digest, holds
from pipelines.registry.plot_files import Plot, read_plots
from pipelines.runtime import Runtime
from pipelines.storage.whole_files import write_atomically

_log = logging.getLogger(__name__)

PartT = TypeVar("PartT")


@dataclass(frozen=True)
class Measurements:
    """Each part, or None (no plots) where it can't be had; then ``missing`` says why, by the part's name."""

    evaluation: Evaluation | None = None
    speed: Speed | None = None
    selection: Selection | None = None
    plots: Mapping[str, Plot] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def known_measurements(record: TrainingRecord, *, runtime: Runtime) -> Measurements:
    """Return what was measured of a version; what can't be had is said, and raises nothing.

    A copy below ``<home>/models/<dataset>/<version>/`` is believed only where it has the digest on record, so
    that a second look needs no MLflow.
    """
    parts, trained = _Parts(record, runtime), record.trained
    evaluation = parts.get(
        "evaluation",
        "evaluation.json",
        trained.evaluation_digest,
        lambda path: Evaluation.model_validate_json(path.read_bytes()),
    )
    selection = parts.get(
        "selection",
        "selection.json",
        trained.selection_digest,
        lambda path: Selection.model_validate_json(path.read_bytes()),
    )
    plots = parts.get("plots", "plots", trained.plots_digest, lambda folder: read_plots(folder, DRAWN))
    speed = None if evaluation is None else parts.speed()
    return Measurements(evaluation, speed, selection, plots or {}, parts.missing)


class _Parts:
    """Reads one part after another: a local copy, else what MLflow keeps."""

    def __init__(self, record: TrainingRecord, runtime: Runtime) -> None:
        self._record, self._runtime = record, runtime
        self._folder = runtime.settings.home / "models" / record.dataset / record.model_version
        self.missing: dict[str, str] = {}

    def get(self, part: str, name: str, digest: str, read: Callable[[Path], PartT]) -> PartT | None:
        """Return what the file or folder ``name`` says, held to its digest; ``part`` is its word."""
        if not digest:
            self.missing[part] = f"its training kept no {part}; it is of an earlier release."
            return None
        copy = self._folder / name
        try:
            if not holds(copy, digest, folder_digest if part == "plots" else file_digest):
                getattr(self._runtime.registry, part)(self._record.dataset, self._record.model_version)
            return read(copy)
        except ValidationError:
            self.missing[part] = f"its {part} is of a format that this release does not know."
        except (HoldfastError, OSError) as error:
            self.missing[part] = f"its {part} can't be read: {error}"
        return None

    def speed(self) -> Speed | None:
        """Return how fast the model was, which no digest holds: it differs from run to run."""
        copy = self._folder / "speed.json"
        try:
            return Speed.model_validate_json(copy.read_bytes())
        except (OSError, ValidationError):
            pass
        try:
            speed = self._runtime.registry.speed(self._record.dataset, self._record.model_version)
            if speed is not None:
                write_atomically(copy, speed.model_dump_json())
        except HoldfastError as error:
            _log.info("No copy of the speed is kept at %s: %s", copy, error)
            return None
        return speed
