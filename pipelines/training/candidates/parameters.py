"""What may be changed of each kind of candidate, within which bounds, and what it is by default.

The defaults are what a training without a search uses; a search that starts at them is never worse than none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from pipelines.errors import ConfigError


class Parameter(NamedTuple):
    """One hyperparameter: its bounds, both of them allowed, and its default.

    Parameters
    ----------
    low, high : float
        The least and the largest value.
    is_log : bool
        Whether values that differ by the same factor are as far from each other.
    is_int : bool
        Whether only whole numbers are allowed.
    default : float
        What it is where nobody says otherwise.
    """

    low: float
    high: float
    is_log: bool
    is_int: bool
    default: float


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = {
    "hist_gradient_boosting": {
        "learning_rate": Parameter(0.01, 0.3, True, False, 0.06),
        # A leaf is one bit of the scorer's tables: pipelines.bundle.description.MAX_LEAVES.
        "max_leaf_nodes": Parameter(4, 31, True, True, 31),
        # Times the least number of rows of a leaf that the table's size gives.
        "leaf_rows_factor": Parameter(0.2, 10.0, True, False, 1.0),
        "l2_regularization": Parameter(0.01, 100.0, True, False, 1.0),
        # Share of the columns that each split may choose from. A quarter by default: columns that are
        # constant within a day would else be learned by heart, day by day.
        "max_features": Parameter(0.1, 1.0, False, False, 0.25),
    },
    "embedding_network": {
        "learning_rate": Parameter(3e-4, 3e-2, True, False, 3e-3),
        "weight_decay": Parameter(1e-5, 0.1, True, False, 1e-3),
        "dropout": Parameter(0.0, 0.5, False, False, 0.1),
        # Share of inputs hidden at random while training, so that every weight for "missing" and "unknown"
        # learns.
        "hidden_fraction": Parameter(0.005, 0.2, True, False, 0.02),
        # Of the first hidden layer; each that follows has half of it.
        "width": Parameter(16, 256, True, True, 64),
        "n_layers": Parameter(1, 3, False, True, 2),
        "max_embedding_width": Parameter(2, 32, True, True, 16),
    },
    "linear_model": {
        # Standardised numbers are clipped to this many standard deviations either way.
        "input_limit": Parameter(2.0, 16.0, True, False, 8.0),
        # A level of fewer rows counts as unknown.
        "min_level_rows": Parameter(1, 200, True, True, 10),
        # Times the penalty of the other weights: below one, levels are held back less than numbers.
        "level_penalty": Parameter(0.1, 10.0, True, False, 1.0),
    },
}


def complete(name: str, parameters: Mapping[str, float | int] | None) -> dict[str, float]:
    """Return every hyperparameter of a candidate: those that are given, and the defaults of the others.

    Parameters
    ----------
    name : str
        A kind of candidate.
    parameters : mapping of str to float, optional
        What to change, by name.

    Raises
    ------
    ConfigError
        If the candidate has no such parameter, or a value is out of its bounds.

    Examples
    --------
    >>> complete("linear_model", {"input_limit": 4})["input_limit"]
    4.0
    """
    known, given = PARAMETERS[name], dict(parameters or {})
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(
            f"{name} has no parameter {unknown[0]!r}: choose from {', '.join(known)} "
            "(pipelines/training/candidates/parameters.py)."
        )
    for key, value in given.items():
        low, high, _, is_int, _ = known[key]
        if not low <= value <= high or (is_int and not math.isclose(value, round(value))):
            kind = "a whole number" if is_int else "a number"
            raise ConfigError(f"{key} of {name} must be {kind} from {low:g} to {high:g}, not {value:g}.")
    values = {key: given.get(key, parameter.default) for key, parameter in known.items()}
    return {key: round(value) if known[key].is_int else float(value) for key, value in values.items()}
