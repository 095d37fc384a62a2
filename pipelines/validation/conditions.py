"""Row conditions: which rows an expectation is about.

A suite may write one as Great Expectations serialises it (a mapping with ``type``), as its text
``col("site") == "north"`` with ``condition_parser: great_expectations``, or as a pandas query.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from great_expectations.expectations.expectation import parse_great_expectations_condition
from great_expectations.expectations.row_conditions import deserialize_row_condition

from pipelines.config.explanations import nearest
from pipelines.validation.entries import Entry, Problem

_ARGUMENT = "row_condition"
_GREAT_EXPECTATIONS = ("great_expectations", "great_expectations__experimental__")
_PARSERS = (*_GREAT_EXPECTATIONS, "pandas")
_MAX_SAID_CHARS = 200


def check_condition(
    entry: Entry, arguments: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield what is wrong with an expectation's row condition and its parser.

    Parameters
    ----------
    arguments : mapping
        The expectation's.
    types : mapping of str to str
        Every column that may be named.
    """
    condition, parser = arguments.get(_ARGUMENT), arguments.get("condition_parser")
    if parser is not None and parser not in _PARSERS:
        near = nearest(str(parser), ("great_expectations", "pandas"))
        yield entry.problem(f"`condition_parser`: `{parser}` can't be run here.{near}", "condition_parser")
        return
    if condition is None:
        if parser is not None:
            yield entry.problem("`condition_parser` without a `row_condition`", "condition_parser")
        return
    try:
        names = sorted(set(_columns(condition, parser)))
    except Exception as error:  # noqa: BLE001 - pyparsing, pydantic and Great Expectations each raise their own
        said = str(error).split("\n")[0][:_MAX_SAID_CHARS]
        yield entry.problem(f"`{_ARGUMENT}` can't be read: {said}", _ARGUMENT)
        return
    for name in names:
        if name not in types:
            near = nearest(name, types)
            yield entry.problem(f"`{_ARGUMENT}`: unknown column `{name}`.{near}", _ARGUMENT)


def _columns(condition: Any, parser: str | None) -> Iterator[str]:
    if isinstance(condition, Mapping):
        deserialize_row_condition(dict(condition))
        yield from _columns_of_object(condition)
    elif isinstance(condition, str) and parser in _GREAT_EXPECTATIONS:
        yield str(parse_great_expectations_condition(condition)["column"])
    elif isinstance(condition, str):
        yield from _columns_of_query(condition)
    else:
        raise TypeError(f"it is a {type(condition).__name__}; write a mapping or a text")


def _columns_of_object(condition: Mapping[str, Any]) -> Iterator[str]:
    if condition["type"] in ("and", "or"):
        for inner in condition["conditions"]:
            yield from _columns_of_object(inner)
    elif condition["type"] == "pass_through":
        yield from _columns_of_query(condition["pass_through_filter"])
    else:
        column = condition["column"]
        yield str(column["name"] if isinstance(column, Mapping) else column)


def _columns_of_query(query: str) -> Iterator[str]:
    # pandas reads a query as Python in which a name in backticks may be any column's.
    quoted = query.split("`")
    yield from quoted[1::2]
    plain = "".join("True" if index % 2 else part for index, part in enumerate(quoted))
    called = {"True", "False", "None", "true", "false", "index"}
    for node in ast.walk(ast.parse(plain.strip(), mode="eval")):
        if isinstance(node, ast.Name) and node.id not in called:
            yield node.id
