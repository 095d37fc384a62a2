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
from pipelines.features.target import class_names
from pipelines.records import CalibrationTried

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
        Takes a table of feature columns, gives float64 (n,): the probability of 1, or the value; of task
        ``multiclass`` (n, K): the probability of each class. It is computed by the training library,
        never by the scorer, which is held against it.
    score : callable
        Takes the same, gives what ``predict`` makes probabilities of, also by the training library: float64
        (n,) log-odds of a binary task, (n, K) what the softmax is taken of, (n,) the value of a regression.
    calibration : CalibrationTried, optional
        What calibrating it came to; None where it was not tried.
    """

    name: str
    description: BundleDescription
    tensors: Mapping[str, npt.NDArray[Any]]
    predict: Callable[[pa.Table], Floats]
    score: Callable[[pa.Table], Floats]
    calibration: CalibrationTried | None = None


OnRound = Callable[[int, float], None]


class FitOptions(NamedTuple):
    """How to fit one candidate.

    Parameters
    ----------
    seed : int
        Of all that is drawn at random.
    parameters : mapping of str to float
        Every hyperparameter of the candidate.
    changed : mapping of str to float
        Those that somebody chose, to be noted in the model.
    on_round : callable
        Is told each round (tree, epoch or penalty; from 1 on) and the loss on the validation rows after it.
    """

    seed: int
    parameters: Mapping[str, float]
    changed: Mapping[str, float]
    on_round: OnRound


class Examples(NamedTuple):
    """Encoded rows, and what happened: ``target`` float64 ``(n,)``, for classes their numbers."""

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
    if config.task != "regression":
        _require_classes(target, config, purpose, is_for_validation=is_for_validation)
    return Examples(encode(table, encoding), target)


def _require_classes(target: Floats, config: DatasetConfig, purpose: str, *, is_for_validation: bool) -> None:
    names = class_names(config)
    found = np.unique(target)
    if not np.isin(found, np.arange(len(names))).all():
        raise DataError(
            f"{config.target} must be 0 {'or' if len(names) == 2 else 'to'} {len(names) - 1} in the rows "
            f"{purpose}; found {found[:5]}."
        )
    if found.size < 2 and not is_for_validation:
        raise DataError(
            f"{config.target} is {names[int(found[0])]} in all {target.size} rows {purpose}: "
            "there is nothing to tell apart."
        )
