"""Put an entry into params.yaml as text, so that every comment of it stays."""

from __future__ import annotations

import yaml

from pipelines.errors import ConfigError


def insert_entry(text: str, name: str, entry: str, *, replace: bool = False) -> str:
    """Return the text of params.yaml with one more dataset, the last one.

    Parameters
    ----------
    text : str
        The file as it is.
    entry : str
        Whole lines, indented by two spaces.
    replace : bool
        Take the place of an entry of that name, in place of refusing.

    Raises
    ------
    ConfigError
        If there is such an entry already, or ``datasets`` is no block of lines.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    root = _compose(text)
    keys = {key.value: (key, value) for key, value in root.value}
    if "datasets" not in keys:
        return text.rstrip("\n") + ("\n\n" if text.strip() else "") + "datasets:\n" + entry
    datasets = keys["datasets"][1]
    if not isinstance(datasets, yaml.MappingNode) or datasets.flow_style or not datasets.value:
        raise ConfigError(
            "params.yaml: `datasets` must be written as a block of lines, one dataset below the other."
        )
    lines = text.splitlines(keepends=True)
    indent = datasets.start_mark.column
    entry = "".join(
        " " * (indent - 2) + line if line.strip() else line for line in entry.splitlines(keepends=True)
    )
    for key, value in datasets.value:
        if key.value == name:
            if not replace:
                raise ConfigError(
                    f"params.yaml declares a dataset {name!r} already. Choose another name, or say --force."
                )
            start, end = key.start_mark.line, _end(lines, value.end_mark.line)
            return "".join([*lines[:start], entry, *lines[end:]])
    end = _end(lines, datasets.end_mark.line)
    return "".join([*lines[:end], "\n", entry, *lines[end:]])


def _compose(text: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"params.yaml is not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigError("params.yaml is nested too deeply to be read.") from error
    if root is None:
        return yaml.MappingNode("tag:yaml.org,2002:map", [])
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError("params.yaml must be a mapping, with `datasets` in it.")
    return root


def _end(lines: list[str], line: int) -> int:
    """Return where a block ends: after its last line that says something, since what follows is another's."""
    while line > 0 and (not lines[line - 1].strip() or lines[line - 1].lstrip().startswith("#")):
        line -= 1
    return line
