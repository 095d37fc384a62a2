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

from pipelines.bundle.files import write_bundle  # noqa: E402
from pipelines.training.candidates import fit_candidate  # noqa: E402

_FAMILIES = {"hist_gradient_boosting": "trees", "embedding_network": "network"}


def main() -> None:
    """Fit each candidate for each task, and write its bundle beside this file."""
    for name in sample_models.CANDIDATES:
        for task in sample_models.TASKS:
            folder = HERE / f"{_FAMILIES[name]}-{task}"
            if folder.exists():
                continue
            candidate = fit_candidate(
                name,
                sample_models.rows(1500, 1, task=task),
                sample_models.rows(500, 2, task=task),
                config=sample_models.config(task, max_iterations=8, max_epochs=2),
                encoding=sample_models.encoding(task),
                seed=sample_models.SEED,
            )
            golden = sample_models.golden(candidate, 200)
            digest = write_bundle(folder, candidate.description, candidate.tensors, golden)
            sys.stdout.write(f"{folder.name}: {digest}\n")


if __name__ == "__main__":
    main()
