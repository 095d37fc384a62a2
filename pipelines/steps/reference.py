"""What the champion's training saw: the reference that expectations of a suite may be held against."""

from __future__ import annotations

from pipelines.runtime import Runtime
from pipelines.validation.reference import ReferenceProfile, read_profile


def reference_profile(dataset: str, runtime: Runtime) -> ReferenceProfile | None:
    """Return the champion's reference profile.

    Ask only where a suite refers to it: the registry takes seconds to open.

    Returns
    -------
    ReferenceProfile or None
        None where there is no champion yet, or it is from before profiles were kept: expectations that
        refer to it can't be evaluated then.

    Raises
    ------
    IntegrityError
        If the profile's bytes are not those that were trained.
    EngineError
        If the registry can't be read.
    """
    champion = runtime.ledger.champions.present(dataset)
    return None if champion is None else profile_of(dataset, champion.model_version, runtime)


def profile_of(dataset: str, model_version: str, runtime: Runtime) -> ReferenceProfile | None:
    """Return the reference profile of one model version; raises as :func:`reference_profile`."""
    path = runtime.registry.reference_profile(dataset, model_version)
    return None if path is None else read_profile(path)
