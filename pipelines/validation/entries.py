"""The text of a suite, taken apart: one entry an expectation, each with its place in the file.

A mistake in one entry does not hide those of the others. Only where the text is no YAML, or no list of
expectations, is there nothing to go on with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import yaml

from pipelines.errors import ConfigError

Level = Literal["error", "warning"]

_MAX_NODES = 100_000


@dataclass(frozen=True)
class Problem:
    """Something wrong in a suite, at a line and column from 1.

    ``error`` is a mistake for certain; ``warning`` is worth a second look.
    """

    line: int
    column: int
    message: str
    level: Level = "error"


@dataclass(frozen=True)
class Entry:
    """One entry of a suite: what it says, and where.

    Parameters
    ----------
    position : int
        From 1.
    content : mapping
        What it says; empty where that can't be made out.
    marks : mapping of str to tuple of int
        Line and column of each argument.
    problems : tuple of Problem
        Why its content can't be made out.
    """

    position: int
    line: int
    column: int
    content: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(self, message: str, argument: str = "", level: Level = "error") -> Problem:
        """Return a problem of this entry, at one of its arguments if it has that."""
        line, column = self.marks.get(argument, (self.line, self.column))
        return Problem(line, column, message, level)


def refuse(where: str, entry: Entry, problem: Problem) -> NoReturn:
    """Raise the ConfigError that names an entry and what is wrong with it."""
    end = "" if problem.message.endswith(("?", ".")) else "."
    raise ConfigError(f"{where}, expectation {entry.position} (line {entry.line}): {problem.message}{end}")


def read_entries(text: str, where: str, *, key: str = "expectations", of: str = "expectation") -> list[Entry]:
    """Return the entries of a file of one list.

    Parameters
    ----------
    where : str
        The file, as a message is to name it.
    key, of : str
        What the list is called, and what it is a list of.

    Raises
    ------
    ConfigError
        If the text is no YAML, or no mapping of the one key to a list with something in it.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            nodes = _nodes(loader.get_single_node(), where, key, of)
            return [_entry(loader, node, position) for position, node in enumerate(nodes, start=1)]
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{where} is nested too deeply to be read.") from error


def _nodes(root: yaml.Node | None, where: str, key: str, of: str) -> list[yaml.Node]:
    keys = [name.value for name, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    if not isinstance(root, yaml.MappingNode) or keys != [key]:
        raise ConfigError(f"{where} must have one key, `{key}`, with a list below it.")
    entries = root.value[0][1]
    if not isinstance(entries, yaml.SequenceNode) or not entries.value:
        raise ConfigError(f"{where}: `{key}` must be a list of at least one {of}.")
    if _n_nodes(entries, _MAX_NODES) > _MAX_NODES:
        raise ConfigError(f"{where} holds more than {_MAX_NODES:,} values, its aliases written out.")
    nodes: list[yaml.Node] = entries.value
    return nodes


def _n_nodes(node: yaml.Node, most: int) -> int:
    """Count the values below a node as if each alias were written out; stop above ``most``."""
    count, waiting = 0, [node]
    while waiting and count <= most:
        current = waiting.pop()
        count += 1
        if isinstance(current, yaml.MappingNode):
            waiting.extend(value for _, value in current.value)
        elif isinstance(current, yaml.SequenceNode):
            waiting.extend(current.value)
    return count


def _entry(loader: yaml.SafeLoader, node: yaml.Node, position: int) -> Entry:
    line, column = _mark(node)
    if not isinstance(node, yaml.MappingNode):
        wrong = Problem(line, column, "write it as a mapping that starts with `type:`")
        return Entry(position, line, column, problems=(wrong,))
    marks = {str(key.value): _mark(key) for key, _ in node.value}
    times = Counter(str(key.value) for key, _ in node.value)
    twice = [
        Problem(*marks[key], f"the key `{key}` is written twice") for key, count in times.items() if count > 1
    ]
    try:
        content = loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, TypeError) as error:  # 2013-02-30 is a ValueError
        at = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        if at is not None:
            line, column = at.line + 1, at.column + 1
        unreadable = Problem(line, column, f"not readable: {said}")
        return Entry(position, *_mark(node), problems=(*twice, unreadable))
    return Entry(
        position,
        line,
        column,
        content={str(key): value for key, value in content.items()},
        marks=marks,
        problems=tuple(twice),
    )


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
