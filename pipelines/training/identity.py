"""What makes two trainings the same: equal keys, equal models."""

from __future__ import annotations

from pipelines.records import digest_of


def training_key(dataset: str, *, snapshot: str, config: str, code: str, environment: str, seed: int) -> str:
    """Return the key of a training, from the digests of all that decides what it gives.

    Parameters
    ----------
    snapshot, config, environment : str
        The digests of the days, of the dataset's configuration and of the installed packages.
    code : str
        Git's digest of the working tree.
    seed : int
        Of everything random.
    """
    return digest_of(
        {
            "dataset": dataset,
            "snapshot": snapshot,
            "config": config,
            "code": code,
            "environment": environment,
            "seed": seed,
        }
    )
