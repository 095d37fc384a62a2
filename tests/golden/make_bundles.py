"""Make the golden bundles that are not there: ``python tests/golden/make_bundles.py``.

Those that are there are left alone: remove one only for a new format version.

They stand for the models that are in use somewhere: a change to the scorer that gives other predictions
for them, or no longer reads them, is a break. The digests that it prints belong into the test.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import sample_models  # noqa: E402

from pipelines.bundle.description import Calibration  # noqa: E402
from pipelines.bundle.files import write_bundle  # noqa: E402
from pipelines.config import Task  # noqa: E402
from pipelines.training.candidates import FittedCandidate, fit_candidate  # noqa: E402
from pipelines.training.candidates.calibration import apply_calibration  # noqa: E402

_FAMILIES = {"hist_gradient_boosting": "trees", "embedding_network": "network", "linear_model": "linear"}
_CALIBRATED: tuple[tuple[str, Task], ...] = (
    ("hist_gradient_boosting", "binary"),
    ("embedding_network", "multiclass"),
)


def main() -> None:
    """Fit each candidate for each task, and write its bundle beside this file."""
    for name in sample_models.CANDIDATES:
        for task in sample_models.TASKS:
            _write(HERE / f"{_FAMILIES[name]}-{task}", name, task)
    for name, task in _CALIBRATED:
        n_outputs = len(sample_models.CLASSES) if task == "multiclass" else 1
        calibration = Calibration(slope=0.8, intercepts=tuple(0.2 - 0.1 * i for i in range(n_outputs)))
        _write(HERE / f"{_FAMILIES[name]}-{task}-calibrated", name, task, calibration)


def _write(folder: Path, name: str, task: Task, calibration: Calibration | None = None) -> None:
    if folder.exists():
        return
    candidate = _fitted(name, task)
    if calibration is not None:
        candidate = apply_calibration(candidate, calibration)
    golden = sample_models.golden(candidate, 200)
    digest = write_bundle(folder, candidate.description, candidate.tensors, golden)
    sys.stdout.write(f"{folder.name}: {digest}\n")


def _fitted(name: str, task: Task) -> FittedCandidate:
    return fit_candidate(
        name,
        sample_models.rows(1500, 1, task=task),
        sample_models.rows(500, 2, task=task),
        config=sample_models.config(task, max_iterations=8, max_epochs=2),
        encoding=sample_models.encoding(task),
        seed=sample_models.SEED,
    )


if __name__ == "__main__":
    main()
