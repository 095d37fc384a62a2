"""What a training left beside its model: its days, its configuration, its environment; held to the record."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pipelines.errors import HoldfastError
from pipelines.records import TrainedModel, TrainingRecord, digest_of
from pipelines.runtime import Runtime
from pipelines.storage.whole_files import write_atomically
from pipelines.training.environment import environment_digest
from pipelines.training.snapshot import Snapshot

_log = logging.getLogger(__name__)

PartT = TypeVar("PartT")
_PARTS = {"snapshot": "snapshot.json", "configuration": "params.yaml", "environment": "environment.txt"}


@dataclass(frozen=True)
class Lineage:
    """Each part, or None where it can't be had as it was recorded; then ``missing`` says why."""

    snapshot: Snapshot | None = None
    config: dict[str, Any] | None = None
    environment: str | None = None
    missing: dict[str, str] = field(default_factory=dict)


def read_snapshot(text: str) -> Snapshot | None:
    """Return the days that a training left on record; None if the text describes none."""
    try:
        return Snapshot.model_validate_json(text)
    except ValidationError:
        return None


def read_config(text: str, dataset: str) -> dict[str, Any]:
    """Return the configuration of a dataset in the params.yaml of a training; empty if it has none."""
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError:
        return {}
    datasets = found.get("datasets", {}) if isinstance(found, dict) else {}
    config = datasets.get(dataset, {}) if isinstance(datasets, dict) else {}
    return config if isinstance(config, dict) else {}


def known_lineage(record: TrainingRecord, *, runtime: Runtime) -> Lineage:
    """Return what made a model, from local copies where there are good ones.

    A copy lies below ``<home>/models/<dataset>/<version>/lineage/`` and is believed only where it has the
    digest on record, so that a second look needs no MLflow. What can't be had is said, and raises nothing.
    """
    trained = record.trained
    folder = runtime.settings.home / "models" / record.dataset / record.model_version / "lineage"
    parts = _Parts(trained, folder, runtime)
    snapshot = parts.get("snapshot", read_snapshot, lambda s: s.digest == trained.snapshot_digest)
    config = parts.get(
        "configuration", _known_config(trained), lambda c: digest_of(c) == trained.config_digest
    )
    environment = parts.get(
        "environment", lambda text: text, lambda t: environment_digest(t) == trained.environment_digest
    )
    return Lineage(snapshot, config, environment, parts.missing)


class _Parts:
    """Reads one part after another: a local copy, else what MLflow keeps."""

    def __init__(self, trained: TrainedModel, folder: Path, runtime: Runtime) -> None:
        self._trained, self._folder, self._runtime = trained, folder, runtime
        self.missing: dict[str, str] = {}

    def get(
        self, part: str, read: Callable[[str], PartT | None], is_recorded: Callable[[PartT], bool]
    ) -> PartT | None:
        copy = self._folder / f"{part}.txt"
        found = _read(copy, read)
        if found is not None and is_recorded(found):
            return found
        try:
            text = self._runtime.registry.lineage(self._trained, _PARTS[part])
        except HoldfastError as error:
            self.missing[part] = f"the {part} can't be read: {error}"
            return None
        found = None if text is None else read(text)
        if text is None or found is None or not is_recorded(found):
            state = "is gone from" if text is None else "is not what was recorded in"
            self.missing[part] = f"the {part} {state} the MLflow run {self._trained.mlflow_run_id}"
            return None
        self._keep(copy, text if not isinstance(found, dict) else json.dumps(found, sort_keys=True))
        return found

    def _keep(self, copy: Path, text: str) -> None:
        try:
            write_atomically(copy, text)
        except (HoldfastError, OSError) as error:
            # It is only a copy, and whoever looks may not be allowed to write here.
            _log.info("No copy is kept at %s: %s", copy, error)


def _known_config(trained: TrainedModel) -> Callable[[str], dict[str, Any] | None]:
    """Return how a text is read that is the whole params.yaml, or a copy of the dataset's part as JSON."""

    def read(text: str) -> dict[str, Any] | None:
        try:
            found = json.loads(text)
        except ValueError:
            found = read_config(text, trained.dataset)
        return found if isinstance(found, dict) else None

    return read


def _read(path: Path, read: Callable[[str], PartT | None]) -> PartT | None:
    try:
        return read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
