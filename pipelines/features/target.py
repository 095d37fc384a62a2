"""The target as numbers: a class by its place among ``classes``, or the value of a regression.

The lake keeps labels as they were declared (text, whole numbers, booleans). Training, the gates and
monitoring all read them through here, so that one label means one class everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError

# What a binary task has where `classes` names none.
_PLAIN_CLASSES = ("0", "1")
_BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True}
_BOOLEANS |= {"false": False, "f": False, "no": False, "n": False, "0": False}
_MAX_NAMED = 5
_MAX_CHARS = 40


class EncodedTarget(NamedTuple):
    """What happened, as numbers, and which labels are none of the classes.

    ``values`` is float64, null where there is no label, or one that is no class. ``strangers`` holds such
    labels as text and how often each occurs, the most frequent ones first.
    """

    values: pa.ChunkedArray
    strangers: Mapping[str, int]

    @property
    def n_strangers(self) -> int:
        """How many rows bring a label that is none of the classes."""
        return sum(self.strangers.values())


def class_names(config: DatasetConfig) -> tuple[str, ...]:
    """Return the classes of a dataset in the order of their numbers; none for a regression."""
    if config.task == "regression":
        return ()
    return config.classes or _PLAIN_CLASSES


def encode_target(labels: pa.ChunkedArray, config: DatasetConfig) -> EncodedTarget:
    """Return a column of labels as numbers.

    Parameters
    ----------
    labels : pyarrow.ChunkedArray, shape (n,)
        The target as the lake has it; nulls are labels that are not known.
    config : DatasetConfig
        The task and its classes. A class is compared by the type of the column: ``"1"`` is the
        integer 1, ``"yes"`` the boolean true.

    Raises
    ------
    ConfigError
        If a class can't be a value of the column's type.

    Examples
    --------
    >>> config = DatasetConfig.model_construct(task="binary", target="y", classes=("no", "yes"))
    >>> found = encode_target(pa.chunked_array([["yes", "no", None, "maybe"]]), config)
    >>> found.values.to_pylist(), found.strangers
    ([1.0, 0.0, None, None], {'maybe': 1})
    """
    if config.task == "regression":
        numbers = _plain_numbers(labels, config)
        return EncodedTarget(pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64())), {})
    classes = _typed_classes(labels.type, config)
    numbers = pc.index_in(labels.cast(classes.type, safe=False), value_set=classes)
    return EncodedTarget(numbers.cast(pa.float64()), _strangers(labels, numbers))


def describe_strangers(strangers: Mapping[str, int], config: DatasetConfig) -> str:
    """Return one bounded sentence about labels that are none of the classes."""
    named = [f"{text[:_MAX_CHARS]!r} ({n})" for text, n in list(strangers.items())[:_MAX_NAMED]]
    more = f" and {len(strangers) - _MAX_NAMED} more" if len(strangers) > _MAX_NAMED else ""
    n_rows = sum(strangers.values())
    rows = "row has a" if n_rows == 1 else "rows have a"
    return (
        f"{n_rows} {rows} {config.target} that is none of the classes, and count as not labelled: "
        f"{', '.join(named)}{more}. If they are right, name them in `classes` of params.yaml."
    )


def likeliest_classes(probabilities: npt.NDArray[np.float64], classes: Sequence[str]) -> pa.Array:
    """Return the name of each row's likeliest class; the first of equals.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n, K)
        One column a class, in the order of ``classes``.
    """
    names = pa.array(list(classes), pa.string())
    return names.take(pa.array(np.asarray(probabilities).argmax(axis=1)))


def _plain_numbers(labels: pa.ChunkedArray, config: DatasetConfig) -> pa.ChunkedArray:
    try:
        return labels.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError(
            f"params.yaml: label `{config.target}` is {labels.type}, which a regression can't predict: "
            "declare it as a float or an integer."
        ) from error


def _strangers(labels: pa.ChunkedArray, numbers: pa.ChunkedArray) -> dict[str, int]:
    others = labels.filter(pc.and_(pc.is_valid(labels), pc.is_null(numbers)))
    counted = {str(entry["values"]): entry["counts"] for entry in pc.value_counts(others).to_pylist()}
    return dict(sorted(counted.items(), key=lambda entry: (-entry[1], entry[0])))


def _typed_classes(kind: pa.DataType, config: DatasetConfig) -> pa.Array:
    """Return the classes as values of the type that the labels are compared in."""
    names = class_names(config)
    if pa.types.is_boolean(kind):
        return pa.array([_boolean(name, config) for name in names], pa.bool_())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return pa.array([_number(name, kind, config) for name in names], pa.float64())
    return pa.array(names, pa.string())


def _boolean(name: str, config: DatasetConfig) -> bool:
    if name.lower() not in _BOOLEANS:
        raise _unfit(name, "boolean", "write true and false", config)
    return _BOOLEANS[name.lower()]


def _number(name: str, kind: pa.DataType, config: DatasetConfig) -> float:
    try:
        return float(name)
    except ValueError as error:
        raise _unfit(name, str(kind), "declare the label as a string", config) from error


def _unfit(name: str, kind: str, remedy: str, config: DatasetConfig) -> ConfigError:
    return ConfigError(
        f"params.yaml: class {name[:_MAX_CHARS]!r} can't be a value of label `{config.target}`, which is "
        f"{kind}: {remedy}, or correct `classes`."
    )
