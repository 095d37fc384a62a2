"""What makes an expectation impossible to run: everything for which a suite is refused.

Whether a rule that can be run makes sense is :mod:`pipelines.validation.judgements`' question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import duckdb
from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.expectations.registry import get_expectation_impl

from pipelines.config.explanations import nearest
from pipelines.validation.conditions import check_condition
from pipelines.validation.entries import Entry, Problem
from pipelines.validation.reference import REFERENCE_NAMES
from pipelines.validation.rules import (
    COLUMN_ARGUMENTS,
    PARAMETER_KEY,
    PARAMETERS,
    POSITION,
    REFERENCE_KEY,
    Rule,
    Severity,
    Stage,
    as_moment,
    aware,
    expectation_types,
    named_values,
)

# The runner decides these; in a suite they would change what is found.
_RESERVED = frozenset(
    {
        "id",
        "batch_id",
        "catch_exceptions",
        "library_metadata",
        "rendered_content",
        "result_format",
        "severity",
        "windows",
    }
)
# These hold mappings of their own.
_MAPPINGS = frozenset({"meta", "row_condition", "json_schema", "partition_object", "quantile_ranges"})
_KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {PARAMETER_KEY: PARAMETERS, REFERENCE_KEY: REFERENCE_NAMES}
_TEXTS = frozenset(
    {"regex", "regex_list", "like_pattern", "like_pattern_list", "strftime_format", "type_", "type_list"}
)
_MAX_SAID_CHARS = 200


def arguments_of(kind: str) -> frozenset[str]:
    """Return the names of the arguments that a suite may give to an expectation."""
    return frozenset(get_expectation_impl(kind).__fields__) - _RESERVED


def make_rule(
    entry: Entry, types: Mapping[str, str], stage: Stage = "raw"
) -> tuple[Rule | None, list[Problem]]:
    """Return the rule that one entry of a suite declares, and all that is wrong with it.

    Parameters
    ----------
    entry : Entry
        ``type``, ``severity``, and Great Expectations' arguments.
    types : mapping of str to str
        Every column that may be named, and its declared type.

    Returns
    -------
    Rule or None
        None where anything is wrong.
    list of Problem
        In no particular order; empty if all is well.
    """
    if entry.problems:
        return None, list(entry.problems)
    content = dict(entry.content)
    kind, severity = str(content.pop("type", "")), content.pop("severity", None)
    known = expectation_types()
    if kind not in known:
        near = nearest(kind, known)
        return None, [entry.problem(f"unknown expectation type `{kind}`.{near}", "type")]
    problems = [*_check_arguments(entry, kind, content), *_check_severity(entry, kind, severity)]
    columns = tuple(dict.fromkeys(_columns(content)))
    problems += _check_columns(entry, kind, columns, types)
    if problems:
        return None, problems
    arguments = {key: as_moment(value) for key, value in content.items()}
    if any(types[column] == "timestamp" for column in columns):
        arguments = {key: aware(value) for key, value in arguments.items()}
    rule = Rule(
        name=kind,
        type=kind,
        position=entry.position,
        severity=severity,
        columns=columns,
        arguments=arguments,
        stage=stage,
        line=entry.line,
        written=content,
    )
    problems = [*_check_texts(entry, rule), *check_condition(entry, rule.arguments, types)]
    problems = problems or list(_check_object(entry, rule))
    return (None, problems) if problems else (rule, [])


def _check_severity(entry: Entry, kind: str, severity: Any) -> Iterator[Problem]:
    if severity not in get_args(Severity):
        yield entry.problem(f"{kind} needs a `severity`: critical, warning or info", "severity")


def _check_arguments(entry: Entry, kind: str, content: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the names of arguments, and the names of the values that stand for others."""
    known = arguments_of(kind)
    for name, value in content.items():
        if name not in known:
            near = nearest(name, known)
            yield entry.problem(f"{kind} has no argument `{name}`.{near}", name)
        elif name == "meta":
            if isinstance(value, Mapping) and POSITION in value:
                yield entry.problem(f"{kind}: `meta` can't hold `{POSITION}`: Holdfast uses it", name)
        elif name == "row_condition":
            if any(True for key in _KNOWN_NAMES for _ in named_values(value, key)):
                yield entry.problem(f"{kind}: `{name}` can't hold a $PARAMETER or $REFERENCE", name)
        else:
            yield from _check_stand_ins(entry, kind, name, value)
            if isinstance(value, Mapping) and name not in _MAPPINGS and not _KNOWN_NAMES.keys() & value:
                wanted = " or ".join(f"{{{key}: name}}" for key in _KNOWN_NAMES)
                yield entry.problem(f"{kind}: `{name}` can't be a mapping, unless it is {wanted}", name)
            if isinstance(value, str) and _wants_number(kind, name):
                said = f"{kind}: `{name}` is the text {value[:40]!r}; write it as a number"
                yield entry.problem(said, name)


def _check_stand_ins(entry: Entry, kind: str, argument: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _KNOWN_NAMES:
                yield from _check_stand_in(entry, kind, argument, value)
            elif argument == "json_schema":
                return  # a language of its own, in which $ref and $schema are words
            elif isinstance(key, str) and key.startswith("$"):
                near = nearest(key, _KNOWN_NAMES)
                yield entry.problem(f"{kind}: unknown key `{key}` in `{argument}`.{near}", argument)
            else:
                yield from _check_stand_ins(entry, kind, argument, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _check_stand_ins(entry, kind, argument, inner)


def _check_stand_in(entry: Entry, kind: str, argument: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if len(value) > 1:
        keys = ", ".join(f"`{key}`" for key in value)
        yield entry.problem(f"{kind}: `{argument}` must have one key of {keys}", argument)
        return
    key, name = next(iter(value.items()))
    if not isinstance(name, str) or name not in _KNOWN_NAMES[key]:
        near = nearest(str(name), _KNOWN_NAMES[key])
        yield entry.problem(f"{kind}: unknown {key} `{name}`.{near}", argument)


def _wants_number(kind: str, argument: str) -> bool:
    wanted = get_args(get_expectation_impl(kind).__fields__[argument].outer_type_)
    is_number = any(
        part in (int, float) or (isinstance(part, type) and issubclass(part, float)) for part in wanted
    )
    return is_number and str not in wanted


def _columns(arguments: Mapping[str, Any]) -> Iterable[str]:
    for name in COLUMN_ARGUMENTS:
        value = arguments.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (str(column) for column in value)


def _check_columns(
    entry: Entry, kind: str, columns: Iterable[str], types: Mapping[str, str]
) -> Iterator[Problem]:
    for column in columns:
        if column not in types:
            written = (name for name in COLUMN_ARGUMENTS if column in (entry.content.get(name) or ()))
            near = nearest(column, types)
            yield entry.problem(f"{kind}: unknown column `{column}`.{near}", next(written, ""))


def _check_texts(entry: Entry, rule: Rule) -> Iterator[Problem]:
    """Check the texts that are in a language of their own."""
    for name in _TEXTS & rule.arguments.keys():
        texts = rule.arguments[name]
        for text in texts if isinstance(texts, list) else [texts]:
            if isinstance(text, str):
                yield from _check_pattern(entry, rule.type, name, text)
            elif text is not None and not isinstance(text, Mapping):
                # Great Expectations would take 5 for the text 5.
                yield entry.problem(f"{rule.type}: `{name}`: {text} is no text; write it in quotes", name)
    query = rule.arguments.get("unexpected_rows_query")
    if isinstance(query, str):
        yield from _check_query(entry, rule.type, query)


def _check_pattern(entry: Entry, kind: str, name: str, text: str) -> Iterator[Problem]:
    if not name.startswith("regex"):
        return
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        yield entry.problem(f"{kind}: {text[:60]!r} is no regular expression: {error}", name)


def _check_query(entry: Entry, kind: str, query: str) -> Iterator[Problem]:
    name = "unexpected_rows_query"
    if "{batch}" not in query:
        yield entry.problem(f"{kind}: `{name}` must select from {{batch}}, which is the partition", name)
        return
    try:
        statements = duckdb.extract_statements(query.replace("{batch}", "batch"))
    except duckdb.Error as error:
        said = str(error).split("\n")[0][:_MAX_SAID_CHARS]
        yield entry.problem(f"{kind}: `{name}` is no SQL: {said}", name)
        return
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        yield entry.problem(f"{kind}: `{name}` must be one SELECT", name)


def _check_object(entry: Entry, rule: Rule) -> Iterator[Problem]:
    try:
        rule.expectation()
    except ValidationError as error:
        # Great Expectations tries several types in turn and complains once for each: the first counts.
        said = {str(problem["loc"][0]): str(problem["msg"]) for problem in reversed(error.errors())}
        if len(said) > 1:
            said.pop("__root__", None)
        for name, text in sorted(said.items()):
            what = text if name == "__root__" else f"`{name}`: {text}"
            yield entry.problem(f"{rule.type}: {what[:_MAX_SAID_CHARS]}", name)
    except (TypeError, ValueError, AttributeError) as error:
        # Its own checks may stumble over a value of another type.
        yield entry.problem(f"{rule.type}: its arguments don't fit together: {str(error)[:_MAX_SAID_CHARS]}")
