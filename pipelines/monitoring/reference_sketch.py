"""The reference of a model as sketches of its days: made at training, and kept as ``reference.sketch``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import IntegrityError
from pipelines.monitoring.sketch import DaySketches, learn_grid, sketch_days

PREDICTION = "prediction"
_SIZE = struct.Struct("<Q")


class ReferenceSketch(NamedTuple):
    """The days that a model was made and judged on.

    ``days`` counts the features and the target of all rows; ``holdout`` the prediction and the target of the
    rows held back. Of a multiclass task both are categories, the target's named by its number.
    """

    days: DaySketches
    holdout: DaySketches

    def to_bytes(self) -> bytes:
        """Return both as bytes that :func:`read_reference_sketch` reads from a file."""
        days = self.days.to_bytes()
        return _SIZE.pack(len(days)) + days + self.holdout.to_bytes()

    def watches(self, config: DatasetConfig) -> bool:
        """Return whether each column that is watched now is there, as the kind that it is now."""
        for found, wanted in zip(self, _columns(config), strict=True):
            for kind, names in zip((found.grid.numeric, found.grid.categorical), wanted, strict=True):
                if any(name not in kind for name in names):
                    return False
        return True


def sketch_reference(rows: pa.Table, holdout: pa.Table, config: DatasetConfig) -> ReferenceSketch:
    """Return the sketches of the days of a reference, each on the grid of its own rows.

    Parameters
    ----------
    rows : pyarrow.Table
        ``partition_key``, the features and the target as a number, of all days.
    holdout : pyarrow.Table
        ``partition_key``, ``prediction`` and the target as a number, of the rows held back.
    """
    sides = []
    for table, (numeric, categorical) in zip((rows, holdout), _columns(config), strict=True):
        sides.append(sketch_days(table, learn_grid(table, numeric=numeric, categorical=categorical)))
    return ReferenceSketch(*sides)


def read_reference_sketch(path: Path) -> ReferenceSketch:
    """Read ``reference.sketch`` of a model version.

    Raises
    ------
    IntegrityError
        If it is not readable.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} is no readable sketch of a model's reference: {error}") from error
    end = _SIZE.size + (_SIZE.unpack(content[: _SIZE.size])[0] if len(content) > _SIZE.size else 0)
    return ReferenceSketch(
        DaySketches.from_bytes(content[_SIZE.size : end]), DaySketches.from_bytes(content[end:])
    )


def _columns(config: DatasetConfig) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """Return the numeric and the categorical columns of either side."""
    features, target = config.features, config.target
    if config.task == "multiclass":
        return (features.numeric, (*features.categorical, target)), ((), (PREDICTION, target))
    return ((*features.numeric, target), features.categorical), ((PREDICTION, target), ())
