"""Register a trained model as a challenger."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import IntegrityError
from pipelines.records import TrainedModel, TrainingRecord
from pipelines.runtime import Runtime
from pipelines.steps.card import refresh_cards


def register(trained: TrainedModel, *, runtime: Runtime) -> TrainingRecord:
    """Make a trained model a model version with the alias ``challenger``, and put it on record.

    A repeat, also at the same time, gives the same version and the same record.

    Raises
    ------
    IntegrityError
        If MLflow's version of this training is another model.
    EngineError
        If MLflow fails.
    """
    version = runtime.registry.register(trained, python_model=_pyfunc_code())
    # Of two runs of one training, the version belongs to one; the record says which.
    registered = runtime.registry.training_of(trained.dataset, version)
    if registered.training_key != trained.training_key:
        raise IntegrityError(
            f"MLflow says that {trained.dataset} v{version} comes from the training "
            f"{registered.training_key[:16]}, not {trained.training_key[:16]}: delete that version, and "
            "register again."
        )
    record = TrainingRecord(
        dataset=trained.dataset,
        partition_key=trained.partition_key,
        model_version=version,
        # The same model may be asked for by another night, for another reason.
        trained=registered.model_copy(
            update={"partition_key": trained.partition_key, "reason": trained.reason}
        ),
    )
    runtime.ledger.record(record)
    refresh_cards(trained.dataset, version, runtime=runtime)
    runtime.ledger.update_retraining(
        trained.dataset, trained.partition_key, status="registered", model_version=version
    )
    return record


def _pyfunc_code() -> Path:
    """Return the file by which MLflow loads a bundle; MLflow runs it, we only point at it."""
    spec = find_spec("pipelines.scoring.pyfunc_model")
    assert spec is not None, "the file is part of this package"  # noqa: S101
    assert spec.origin is not None, "it is a file"  # noqa: S101
    return Path(spec.origin)
