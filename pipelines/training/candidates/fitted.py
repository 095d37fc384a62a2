"""What goes into a fit, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.description import BundleDescription
from pipelines.config import DatasetConfig
from pipelines.errors import DataError, SchemaError
from pipelines.features.encoding import Encoded, Encoding, encode

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FittedCandidate:
    """A model as its training library made it, and the same model in the bundle's terms.

    Parameters
    ----------
    name : str
        Which kind of candidate it is.
    description : BundleDescription
        What ``model.json`` will say.
    tensors : mapping of str to ndarray
        What ``weights.safetensors`` will hold.
    predict : callable
        Takes a table of feature columns, gives float64 (n,): the probability of 1, or the value. It
        is computed by the training library, never by the scorer, which is held against it.
    """

    name: str
    description: BundleDescription
    tensors: Mapping[str, npt.NDArray[Any]]
    predict: Callable[[pa.Table], Floats]


class Examples(NamedTuple):
    """Encoded rows, and what happened: ``target`` float64 ``(n,)``."""

    encoded: Encoded
    target: Floats


def read_examples(
    table: pa.Table, config: DatasetConfig, encoding: Encoding, *, is_for_validation: bool = False
) -> Examples:
    """Encode a table and check its target.

    Raises
    ------
    DataError
        If nothing can be learned from it: no rows, a target that is missing or no class, or, unless
        ``is_for_validation``, one class only.
    """
    purpose = "to validate on" if is_for_validation else "to learn from"
    if config.target not in table.column_names:
        raise SchemaError(f"The rows {purpose} have no target column {config.target!r}.")
    target: Floats = table[config.target].cast(pa.float64()).to_numpy()
    if not target.size:
        raise DataError(f"There are no rows {purpose}.")
    if n_unknown := int((~np.isfinite(target)).sum()):
        raise DataError(
            f"{config.target} is missing or not finite in {n_unknown} of {target.size} rows {purpose}."
        )
    if config.task == "binary":
        classes = np.unique(target)
        if not np.isin(classes, (0.0, 1.0)).all():
            raise DataError(f"{config.target} must be 0 or 1 in the rows {purpose}; found {classes[:5]}.")
        if classes.size < 2 and not is_for_validation:
            raise DataError(f"{config.target} is {classes[0]:g} in all {target.size} rows {purpose}.")
    return Examples(encode(table, encoding), target)
