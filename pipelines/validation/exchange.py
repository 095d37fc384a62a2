"""Suites as Great Expectations' own objects, and back: nothing is lost on the way.

Great Expectations turns ``5`` into ``5.0`` where it wants a float, drops an argument that equals its
default, and makes an object of a row condition. How a suite wrote its arguments therefore travels along
in each expectation's ``meta``, and counts on the way back as long as it still says the same: what is
changed in Great Expectations is taken from there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any

import great_expectations as gx
import yaml
from great_expectations.compatibility.pydantic import BaseModel
from great_expectations.expectations.expectation import Expectation

from pipelines.records import digest_of
from pipelines.validation.checks import arguments_of
from pipelines.validation.rules import COLUMN_ARGUMENTS, POSITION, Rule, as_reference
from pipelines.validation.suite import Suite

_ORIGIN = "holdfast_origin"
_FIRST = (*COLUMN_ARGUMENTS, "row_condition")
_WIDTH = 90
_UNBROKEN = 10_000


def to_gx(suite: Suite) -> gx.ExpectationSuite:
    """Return a suite as Great Expectations has it, in the same order.

    Returns
    -------
    great_expectations.ExpectationSuite
        In no context: nothing is saved.
    """
    return gx.ExpectationSuite(name=suite.name, expectations=[_to_object(rule) for rule in suite.rules])


def from_gx(suite: gx.ExpectationSuite) -> list[dict[str, Any]]:
    """Return the entries that declare a suite of Great Expectations, as :func:`dump_suite` writes them."""
    return [_to_entry(expectation) for expectation in suite.expectations]


def entries_of(suite: Suite) -> list[dict[str, Any]]:
    """Return the entries of a suite as its file has them, in their order."""
    return [{"type": rule.type, "severity": rule.severity, **rule.written} for rule in suite.rules]


def dump_suite(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return the YAML of a suite.

    Parameters
    ----------
    entries : iterable of mapping
        ``type``, ``severity`` and arguments, in the order in which they are written.

    Examples
    --------
    >>> print(dump_suite([{"type": "expect_column_to_exist", "severity": "info", "column": "x"}]), end="")
    expectations:
      - type: expect_column_to_exist
        severity: info
        column: x
    """
    return "expectations:\n" + "".join(dump_entry(entry) for entry in entries)


def dump_entry(entry: Mapping[str, Any]) -> str:
    """Return the YAML of one entry, as it stands in the list."""
    text = "".join(_dump_argument(str(name), value) for name, value in entry.items())
    return "  - " + textwrap.indent(text, "    ")[4:]


def _dump_argument(name: str, value: Any) -> str:
    """Return one argument: a value beside its name, a list or mapping as it fits on lines."""
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": True}
    if not isinstance(value, list | tuple | Mapping):
        return str(yaml.safe_dump({name: value}, default_flow_style=False, width=_UNBROKEN, **options))
    text = str(yaml.safe_dump(value, default_flow_style=True, width=_WIDTH, **options))
    return f"{name}: {textwrap.indent(text, '  ')[2:]}"


def _to_object(rule: Rule) -> Expectation:
    built = rule.expectation()
    # As YAML, which keeps what JSON does not: dates, moments, numbers that are whole.
    origin = yaml.safe_dump({"written": dict(rule.written), "held": _held(built)}, sort_keys=False)
    return built.copy(update={"meta": {**built.meta, _ORIGIN: origin}})


def _to_entry(expectation: Expectation) -> dict[str, Any]:
    kind = expectation.expectation_type
    origin = yaml.safe_load((expectation.meta or {}).get(_ORIGIN, "{}"))
    written, held = origin.get("written", {}), origin.get("held", {})
    now = _held(expectation)
    kept = {name: value for name, value in written.items() if held[name] == now[name]}
    if "row_condition" not in kept:
        kept.pop("condition_parser", None)
    changed = {
        name: value
        for name in sorted(arguments_of(kind) & expectation.__fields_set__)
        if held.get(name) != now[name] and (value := _plain(expectation, name)) is not None
    }
    found = {**changed, **kept}
    order = [name for name in written if name in found]
    order += [name for name in _FIRST if name in found and name not in order]
    return {
        "type": kind,
        "severity": str(expectation.severity.value),
        **{name: found[name] for name in dict.fromkeys([*order, *found])},
    }


def _held(expectation: Expectation) -> dict[str, str]:
    """Return what an expectation holds, argument by argument, as texts that can be compared.

    They are the same after a trip through Great Expectations' JSON.
    """
    names = arguments_of(expectation.expectation_type)
    held = {name: _plain(expectation, name) for name in sorted(names)}
    # A default may be 1 where an explicit 1 has become 1.0.
    whole = {
        name: int(value) for name, value in held.items() if isinstance(value, float) and value.is_integer()
    }
    return {name: digest_of(_jsonable(value))[:16] for name, value in {**held, **whole}.items()}


def _plain(expectation: Expectation, name: str) -> Any:
    value = getattr(expectation, name)
    if name == "meta":
        value = {key: inner for key, inner in (value or {}).items() if key not in (POSITION, _ORIGIN)}
        return value or None
    return _without_objects(value)


def _without_objects(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _without_objects(value.dict())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return as_reference({key: _without_objects(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return [_without_objects(inner) for inner in value]
    return value


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    return value
