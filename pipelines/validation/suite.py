"""Expectation suites: YAML that data engineers edit, read into rules.

One file holds the suite of one dataset and stage, ``expectations/<dataset>_<stage>.yaml``::

    expectations:
      - type: expect_column_values_to_be_between   # Great Expectations' own name ...
        severity: warning                          # critical, warning or info
        column: distance                           # ... and its own arguments
        min_value: 50
        max_value: 5000
        mostly: 0.99                               # the share that must hold

A value that depends on the partition is written as Great Expectations writes it,
``{$PARAMETER: day_start}``; :data:`~pipelines.validation.rules.PARAMETERS` lists the names. Every
mistake is found when the file is read, and named by file, position, line and the nearest valid name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.records import digest_of
from pipelines.validation.rules import Place, Rule, make_rule


@dataclass(frozen=True)
class Suite:
    """The expectations of one dataset at one stage, in the order of their file.

    Parameters
    ----------
    digest : str
        The SHA-256 of the parsed content, in hex: comments and layout do not change it.
    """

    name: str
    rules: tuple[Rule, ...]
    digest: str


def load_suite(path: Path, config: DatasetConfig) -> Suite:
    """Read and check a suite.

    Parameters
    ----------
    path : Path
        ``expectations/<dataset>_<stage>.yaml``.
    config : DatasetConfig
        Its columns, with ``row_id`` and ``event_time``, are what expectations may name.

    Raises
    ------
    ConfigError
        If the file is missing or no YAML, or an expectation has an unknown type, a missing,
        unknown or wrong argument, an unknown column or parameter, or no valid severity.
    """
    types = {"row_id": "string", "event_time": "timestamp", **config.columns}
    rules = [make_rule(content, types=types, place=place) for content, place in _entries(path)]
    times = Counter((rule.type, rule.columns) for rule in rules)
    return Suite(
        name=path.stem,
        rules=tuple(
            replace(rule, name=f"{rule.type}#{rule.position}") if times[rule.type, rule.columns] > 1 else rule
            for rule in rules
        ),
        digest=digest_of([[rule.type, rule.severity, rule.arguments] for rule in rules]),
    )


def _entries(path: Path) -> list[tuple[dict[str, Any], Place]]:
    """Return each expectation of a file as a dict, with its place."""
    where = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"Can't read the expectation suite {path}: {error.strerror}.") from error
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return [(_entry(loader, node, place), place) for node, place in _nodes(root, where)]
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error


def _nodes(root: yaml.Node | None, where: str) -> list[tuple[yaml.Node, Place]]:
    keys = [key.value for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    if not isinstance(root, yaml.MappingNode) or keys != ["expectations"]:
        raise ConfigError(f"{where} must have one key, `expectations`, with a list below it.")
    entries = root.value[0][1]
    if not isinstance(entries, yaml.SequenceNode) or not entries.value:
        raise ConfigError(f"{where}: `expectations` must be a list of at least one expectation.")
    return [
        (node, Place(where, position, node.start_mark.line + 1))
        for position, node in enumerate(entries.value, start=1)
    ]


def _entry(loader: yaml.SafeLoader, node: yaml.Node, place: Place) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        place.refuse("write it as a mapping that starts with `type:`")
    times = Counter(key.value for key, _ in node.value)
    for key, count in times.items():
        if count > 1:
            place.refuse(f"the key `{key}` is written twice")
    entry: dict[str, Any] = loader.construct_object(node, deep=True)
    return entry
