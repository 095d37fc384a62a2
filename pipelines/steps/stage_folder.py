"""Where the files of one training lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.config import DatasetConfig, TrainingRun, load_params
from pipelines.errors import IntegrityError
from pipelines.training.snapshot import Snapshot


@dataclass(frozen=True)
class StageFolder:
    """The files of one training, below the project that DVC runs in."""

    project: Path

    @property
    def inputs(self) -> Path:
        return self.project / "workspace" / "inputs"

    @property
    def snapshot(self) -> Path:
        return self.project / "workspace" / "snapshot"

    @property
    def features(self) -> Path:
        return self.project / "workspace" / "features"

    @property
    def look_ahead(self) -> Path:
        return self.project / "workspace" / "look_ahead.json"

    @property
    def withheld(self) -> Path:
        return self.project / "workspace" / "withheld.json"

    @property
    def refusal(self) -> Path:
        return self.project / "workspace" / "refusal.json"

    @property
    def outputs(self) -> Path:
        return self.project / "workspace" / "outputs"

    @property
    def bundle(self) -> Path:
        return self.outputs / "bundle"

    @property
    def selection(self) -> Path:
        return self.outputs / "selection.json"

    @property
    def evaluation(self) -> Path:
        return self.outputs / "evaluation.json"

    @property
    def speed(self) -> Path:
        return self.outputs / "speed.json"

    @property
    def plots(self) -> Path:
        return self.outputs / "plots"

    @property
    def metrics(self) -> Path:
        return self.outputs / "metrics.json"

    def days(self) -> list[str]:
        """Return the days that have features, in order."""
        return sorted(path.stem for path in self.features.glob("*.parquet"))

    def run(self) -> tuple[TrainingRun, DatasetConfig]:
        """Return which training this is, and the configuration of its dataset."""
        params = load_params(self.project / "params.yaml")
        return params.run, params.dataset(params.run.dataset)

    def planned(self) -> Snapshot:
        """Return the snapshot that was planned.

        Raises
        ------
        IntegrityError
            If it is not the one that ``run.snapshot_digest`` names.
        """
        path = self.inputs / "snapshot.json"
        planned = Snapshot.model_validate_json(path.read_bytes())
        run, _ = self.run()
        if planned.digest != run.snapshot_digest:
            raise IntegrityError(
                f"{path} is not the snapshot that `run.snapshot_digest` of params.yaml names: train again."
            )
        return planned
