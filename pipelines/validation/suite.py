"""Expectation suites: YAML that data engineers edit, read into rules.

One file holds the suite of one dataset and stage, ``expectations/<dataset>_<stage>.yaml``::

    expectations:
      - type: expect_column_values_to_be_between   # Great Expectations' own name ...
        severity: warning                          # critical, warning or info
        column: distance                           # ... and its own arguments
        min_value: 50
        max_value: {$REFERENCE: q0.999}            # what the champion's training saw
        mostly: 0.99                               # the share that must hold

A value that depends on the partition is written as Great Expectations writes it,
``{$PARAMETER: day_start}``; :data:`~pipelines.validation.rules.PARAMETERS` lists the names. Every
mistake is found when the file is read, and named by file, position, line and the nearest valid name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.records import digest_of
from pipelines.validation.checks import make_rule
from pipelines.validation.entries import read_entries, refuse
from pipelines.validation.rules import Rule, Stage

STAGES: tuple[Stage, ...] = get_args(Stage)

SuiteColumnType = Literal["string", "integer", "float", "boolean", "timestamp", "date"]


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
    stage: Stage = "raw"


def suite_path(project: Path, dataset: str, stage: Stage = "raw") -> Path:
    """Return where the suite of a dataset and stage lies, whether or not it exists."""
    return project / "expectations" / f"{dataset}_{stage}.yaml"


def suite_columns(config: DatasetConfig, stage: Stage = "raw") -> dict[str, SuiteColumnType]:
    """Return every column that a suite of this stage may name, and its type.

    Examples
    --------
    ``row_id`` and ``event_time`` come first; then the declared columns (``raw``), the features, numbers
    as float and categories as string (``features``), or ``prediction``, of a multiclass task
    ``probability_0`` and so on, and ``model_version`` (``predictions``).
    """
    columns: dict[str, SuiteColumnType] = {"row_id": "string", "event_time": "timestamp"}
    if stage == "raw":
        return {**columns, **config.columns}
    if stage == "features":
        columns |= dict.fromkeys(config.features.numeric, "float")
        columns |= dict.fromkeys(config.features.categorical, "string")
        return columns
    is_multiclass = config.task == "multiclass"
    columns["prediction"] = "string" if is_multiclass else "float"
    if is_multiclass:
        columns |= {f"probability_{index}": "float" for index in range(len(config.classes))}
    columns["model_version"] = "string"
    return columns


def load_suite(path: Path, config: DatasetConfig, stage: Stage = "raw") -> Suite:
    """Read and check a suite.

    Parameters
    ----------
    path : Path
        ``expectations/<dataset>_<stage>.yaml``.
    config : DatasetConfig
        Says which columns there are: :func:`suite_columns`.

    Raises
    ------
    ConfigError
        If the file is missing or no YAML, or an expectation has an unknown type, a missing,
        unknown or wrong argument, an unknown column or parameter, or no valid severity.
    """
    return read_suite(read_text(path), f"{path.parent.name}/{path.name}", config, stage)


def read_text(path: Path) -> str:
    """Return the text of a suite; ConfigError if it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"Can't read the expectation suite {path}: {why}.") from error


def read_suite(text: str, where: str, config: DatasetConfig, stage: Stage = "raw") -> Suite:
    """Return the suite that a text declares; ``where`` is the file that messages name.

    Raises
    ------
    ConfigError
        As :func:`load_suite`.
    """
    types = suite_columns(config, stage)
    rules: list[Rule] = []
    for entry in read_entries(text, where):
        rule, problems = make_rule(entry, types, stage)
        if rule is None:
            refuse(where, entry, problems[0])
        rules.append(rule)
    return make_suite(Path(where).stem, rules, stage)


def make_suite(name: str, rules: list[Rule], stage: Stage = "raw") -> Suite:
    """Return the suite of some rules, those of one type on the same columns told apart by position."""
    times = Counter((rule.type, rule.columns) for rule in rules)
    return Suite(
        name=name,
        rules=tuple(
            replace(rule, name=f"{rule.type}#{rule.position}") if times[rule.type, rule.columns] > 1 else rule
            for rule in rules
        ),
        digest=digest_of([[rule.type, rule.severity, rule.arguments] for rule in rules]),
        stage=stage,
    )
