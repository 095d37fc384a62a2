"""Whether a model could be rebuilt from what is on record."""

from __future__ import annotations

from pipelines.records.base import Record


class ReproducedFile(Record):
    """One file that a training left, and that its repeat left: the MD5 of each, empty where there is none."""

    path: str
    recorded: str
    rebuilt: str

    @property
    def is_same(self) -> bool:
        """Whether they are the same bytes."""
        return self.recorded == self.rebuilt


class Reproduction(Record):
    """One repeat of the training of a model version.

    ``is_identical`` says that the bundle has the digest of the ledger, and that no other file differs.
    ``sources`` counts the snapshot's files by where they came from: ``cache``, ``remote`` or ``lake``.
    ``damaged`` and ``missing`` are files whose object in the DVC cache was so, ``lost`` those that the
    remote could not give back. ``environment_changes`` names what is installed otherwise than then.
    ``is_code_confirmed`` says that commit and patch give the very tree that the training's key was made of.
    """

    dataset: str
    model_version: str
    candidate: str
    is_identical: bool
    bundle_digest: str
    rebuilt_digest: str
    files: tuple[ReproducedFile, ...]
    n_days: int
    sources: dict[str, int]
    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    code_commit: str
    is_dirty: bool
    is_code_confirmed: bool
    environment_changes: tuple[str, ...] = ()
    kept_at: str = ""
