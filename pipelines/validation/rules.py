"""One expectation of a suite: what it is about, and the Great Expectations object that it stands for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Literal

from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import (
    get_expectation_impl,
    list_registered_expectation_implementations,
)

if TYPE_CHECKING:
    from pipelines.validation.reference import ReferenceProfile

Severity = Literal["critical", "warning", "info"]
Stage = Literal["raw", "features", "predictions"]

#: What ``{$PARAMETER: name}`` may name: the partition's first moment and the one after its last
#: (for columns of type timestamp), and its day (for columns of type date).
PARAMETERS = ("day_start", "day_end", "day")
PARAMETER_KEY, REFERENCE_KEY = "$PARAMETER", "$REFERENCE"

#: Results come back in another order than the suite's: this key of their ``meta`` says which is which.
POSITION = "holdfast_position"

#: The arguments by which Great Expectations names columns.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")
#: Arguments that explain an expectation to people and change nothing of what it finds.
EXPLAINING_ARGUMENTS = ("meta", "notes", "description")

_REFERENCE_PARAMETER = "reference of "
_ROW_LEVEL = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite.

    Parameters
    ----------
    name : str
        The expectation's type; with ``#position`` where the suite has it twice on the same columns.
    columns : tuple of str
        The columns that it looks at; none for one about the table as a whole.
    arguments : mapping
        Great Expectations' arguments, without the severity. Plain dates are midnights, and moments that
        are compared with timestamps are aware.
    stage : {"raw", "features", "predictions"}
        Which table it is about.
    written : mapping
        The arguments as the file has them.
    """

    name: str
    type: str
    position: int
    severity: Severity
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]
    stage: Stage = "raw"
    line: int = 0
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def column(self) -> str | None:
        """The columns as one text; None for an expectation about the table."""
        return ", ".join(self.columns) or None

    @property
    def title(self) -> str:
        """The rule as people name it: its type and columns."""
        return f"{self.name}({self.column})" if self.columns else self.name

    @property
    def bounds(self) -> dict[str, Any]:
        """What is expected of the columns: the arguments without those that name them or explain."""
        apart = (*COLUMN_ARGUMENTS, *EXPLAINING_ARGUMENTS)
        return {name: value for name, value in self.arguments.items() if name not in apart}

    @property
    def is_row_level(self) -> bool:
        """Whether rows are judged one by one, so that bad ones can be named."""
        return issubclass(get_expectation_impl(self.type), _ROW_LEVEL)

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with what a training saw."""
        return any(True for _ in named_values(self.bounds, REFERENCE_KEY))

    def resolve(self, reference: ReferenceProfile | None) -> Rule | None:
        """Return the rule with each ``{$REFERENCE: name}`` replaced by what the training saw.

        Returns
        -------
        Rule or None
            None where there is no reference, or it knows no such value: the rule can't be evaluated.
        """
        if not self.needs_reference:
            return self
        if reference is None:
            return None
        try:
            return replace(self, arguments=_with_values(self.arguments, self, reference))
        except _NotLearnedError:
            return None

    def expectation(self, reference: ReferenceProfile | None = None) -> Expectation:
        """Return a new Great Expectations object; its ``meta`` has the rule's position.

        A row condition is an object of Great Expectations, also where the suite has a text. Without a
        value to hold to, ``{$REFERENCE: name}`` becomes a parameter: good to show, not to run.
        """
        resolved = self.resolve(reference)
        arguments = _with_parameters(self.arguments) if resolved is None else dict(resolved.arguments)
        meta = {**(arguments.pop("meta", None) or {}), POSITION: self.position}
        kind = get_expectation_impl(self.type)
        with warnings.catch_warnings():
            # Texts as row conditions are deprecated; suites may keep them, and we hand on objects.
            warnings.simplefilter("ignore", DeprecationWarning)
            built = kind(severity=self.severity, meta=meta, **arguments)
        if arguments.pop("condition_parser", None) is None and not isinstance(
            arguments.get("row_condition"), str
        ):
            return built
        return kind(severity=self.severity, meta=meta, **{**arguments, "row_condition": built.row_condition})


def expectation_types() -> list[str]:
    """Return the name of every expectation that Great Expectations has, in order."""
    return sorted(list_registered_expectation_implementations())


def named_values(value: Any, key: str) -> Iterable[str]:
    """Yield each name that ``{key: name}`` has anywhere in ``value``."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == key:
                yield str(inner)
            else:
                yield from named_values(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from named_values(inner, key)


def as_moment(value: Any) -> Any:
    """Return ``value`` with each plain date as its midnight: Great Expectations compares moments only."""
    if isinstance(value, list):
        return [as_moment(inner) for inner in value]
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


def aware(value: Any) -> Any:
    """Return ``value`` with naive moments taken as UTC, as everywhere in the lake."""
    if isinstance(value, list):
        return [aware(inner) for inner in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def as_reference(value: Any) -> Any:
    """Return the ``{$REFERENCE: name}`` that a parameter of :meth:`Rule.expectation` stands for."""
    name = value.get(PARAMETER_KEY) if isinstance(value, Mapping) else None
    if isinstance(name, str) and name.startswith(_REFERENCE_PARAMETER):
        return {REFERENCE_KEY: name.removeprefix(_REFERENCE_PARAMETER)}
    return value


def _with_parameters(value: Any) -> Any:
    # Some expectations take no mapping but one with $PARAMETER.
    if isinstance(value, Mapping):
        if REFERENCE_KEY in value:
            return {PARAMETER_KEY: f"{_REFERENCE_PARAMETER}{value[REFERENCE_KEY]}"}
        return {key: _with_parameters(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_parameters(inner) for inner in value]
    return value


class _NotLearnedError(Exception):
    """The training saw no such value."""


def _with_values(value: Any, rule: Rule, reference: ReferenceProfile) -> Any:
    if isinstance(value, Mapping):
        if REFERENCE_KEY in value:
            column = rule.columns[0] if rule.columns else None
            learned = reference.value(rule.stage, column, str(value[REFERENCE_KEY]))
            if learned is None:
                raise _NotLearnedError
            return learned
        return {key: _with_values(inner, rule, reference) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_values(inner, rule, reference) for inner in value]
    return value
