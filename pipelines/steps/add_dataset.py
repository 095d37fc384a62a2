"""Bring a table: look at it, say what it is, and write its entry, its features query and its suite."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import yaml
from pydantic import ValidationError

from pipelines.config import DatasetConfig, Params, Settings
from pipelines.config.explanations import explain
from pipelines.errors import ConfigError, EngineError, HoldfastError
from pipelines.onboarding.columns import TYPED
from pipelines.onboarding.entry import Place, entry_text
from pipelines.onboarding.features_sql import DraftedFeatures, draft_features
from pipelines.onboarding.insertion import insert_entry
from pipelines.onboarding.joining import join_query
from pipelines.onboarding.moments import moments_query
from pipelines.onboarding.sample import PLACE
from pipelines.onboarding.understanding import Understanding, understand
from pipelines.onboarding.writing import require_free, write_all
from pipelines.profiling import ColumnProfile, profile_relation
from pipelines.records import Record
from pipelines.steps.table_sample import Said, TableRequest, open_table
from pipelines.storage.engine import connect
from pipelines.validation.suite import suite_path


class AddedDataset(Record):
    """What was understood of a table, and what was written.

    Parameters
    ----------
    files : tuple of str
        Below the project.
    understood, doubts : tuple of str
        A sentence each.
    entry : str
        The text of the entry in params.yaml.
    first_partition, last_partition : str or None
        The days of the rows that were looked at.
    """

    dataset: str
    files: tuple[str, ...]
    n_rows: int
    n_looked_at: int
    task: str
    target: str
    key: tuple[str, ...]
    event_time: str | None
    columns: dict[str, str]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    leaks: tuple[str, ...]
    first_partition: str | None
    last_partition: str | None
    n_days: int
    understood: tuple[str, ...]
    doubts: tuple[str, ...]
    entry: str


@dataclass(frozen=True)
class _Drafted:
    found: Understanding
    features: DraftedFeatures
    entry: str
    said: Said


def add_dataset(
    name: str, request: TableRequest, *, settings: Settings, today: date | None = None
) -> AddedDataset:
    """Look at a table, and write what Holdfast needs to know of it.

    Writes the entry of params.yaml (as text: its comments stay), the features query, the suite of raw
    rows and, for a file of labels, the query that joins both; all of them or none.

    Parameters
    ----------
    name : str
        The dataset's name, ``[a-z][a-z0-9_]*``.
    today : date, optional
        What the table's last day is compared with; the clock's by default.

    Raises
    ------
    ConfigError
        If the name is taken or no name, the source is not there, what was asked for does not fit, or
        a file would be overwritten.
    SchemaError, SourceError
        If the source can't be read as a table.
    """
    params = _read_params(settings, name, force=request.force)
    said = Said()
    with connect(memory="1GB", threads=2) as connection:
        try:
            sample, place = open_table(name, request, settings=settings, connection=connection, said=said)
            found = understand(sample, request.asked, today=today or datetime.now(UTC).date())
            place = _finished(place, found)
            features = draft_features(name, found, label_delay_days=request.wishes.label_delay_days)
            entry = entry_text(name, found, place=place, features=features, wishes=request.wishes)
            text = insert_entry(params, name, entry, replace=request.force)
            config = _checked(text, params, name)
            suite = _suite(config, found)
        except duckdb.Error as error:
            raise EngineError(
                f"Looking at {request.source[:200]} failed: {str(error).strip()[:500]}"
            ) from error
    texts = {
        settings.project / "pipelines/features/sql" / f"{name}.sql": features.sql,
        suite_path(settings.project, name, "raw"): suite,
    }
    if place.sql is not None:
        texts[settings.project / place.sql] = _join(name, place, found)
    require_free(texts, force=request.force)
    write_all(texts | {settings.params: text})
    drafted = _Drafted(found, features, entry, said)
    return _record(name, drafted, [*texts, settings.params], settings)


def _read_params(settings: Settings, name: str, *, force: bool) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ConfigError(
            f"{name[:80]!r} is no name for a dataset: use small letters, digits and _, a letter first."
        )
    try:
        text = settings.params.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"Can't read {settings.params}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{settings.params} is not UTF-8 text: save it as UTF-8.") from error
    insert_entry(text, name, "", replace=force)  # refuses early, before the table is read
    return text


def _finished(place: Place, found: Understanding) -> Place:
    """Return the place with what only the cells could tell: the marks of numbers, and the names in use."""
    used = {column.name for column in found.columns.typed}
    changed = {old: new for old, new in place.rename.items() if old != new and new in used}
    csv = place.csv
    if csv is not None:
        sample = found.columns.sample
        csv = csv.model_copy(update={"decimal": sample.decimal, "thousands": sample.thousands})
    return replace(place, rename=changed, csv=csv)


def _checked(text: str, before: str, name: str) -> DatasetConfig:
    """Return the entry as it loads; all other datasets must be as they were."""
    try:
        content = yaml.safe_load(text)
        params = Params.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, "params.yaml with the new entry", Params)) from error
    except yaml.YAMLError as error:
        raise HoldfastError(f"The entry of {name} is not valid YAML, which is a bug: {error}") from error
    others = dict((yaml.safe_load(before) or {}).get("datasets") or {})
    others.pop(name, None)
    if {key: value for key, value in content["datasets"].items() if key != name} != others:
        raise ConfigError("params.yaml is written in a way that the entry can't be put into: add it by hand.")
    return params.dataset(name)


def _suite(config: DatasetConfig, found: Understanding) -> str:
    from pipelines.validation.draft import draft_suite

    connection, moment = found.columns.sample.connection, found.moment
    types = dict(config.columns)
    relation = TYPED
    if moment is not None:
        relation = "holdfast_landed"
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {relation} AS SELECT typed.*, event_time FROM {TYPED} AS typed "  # noqa: S608
            f"JOIN ({moments_query(found.columns, moment)}) AS times USING ({PLACE})"
        )
        types["event_time"] = "timestamp"
    profiles = profile_relation(connection, relation, types) | {"row_id": _identity(found)}
    scale = found.columns.sample.n_total / max(1, found.columns.sample.n_rows)
    rows_a_day = [round(n * scale) for n in moment.rows_a_day] if moment else [found.columns.sample.n_total]
    return draft_suite(config, profiles, n_rows_a_day=rows_a_day)


def _identity(found: Understanding) -> ColumnProfile:
    """Return what the row ids will be like; under an empty key they are numbered apart."""
    n_rows = found.columns.sample.n_rows
    return ColumnProfile("row_id", "string", n_rows, 0, n_rows - found.key.n_duplicates)


def _join(name: str, place: Place, found: Understanding) -> str:
    events, labels = list(place.tables)
    return join_query(
        name,
        events=events,
        labels=labels,
        columns=[column.name for column in found.columns.typed if column.name != found.target.name],
        target=found.target.name,
        keys=place.labels_key,
    )


def _record(name: str, drafted: _Drafted, paths: Sequence[Path], settings: Settings) -> AddedDataset:
    found, moment = drafted.found, drafted.found.moment
    shown = [
        str(p.relative_to(settings.project)) if p.is_relative_to(settings.project) else str(p) for p in paths
    ]
    return AddedDataset(
        dataset=name,
        files=tuple(shown),
        n_rows=found.columns.sample.n_total,
        n_looked_at=found.columns.sample.n_rows,
        task=found.target.task,
        target=found.target.name,
        key=found.key.columns,
        event_time=moment.sql if moment else None,
        columns={column.name: column.kind or "" for column in found.inputs},
        numeric=drafted.features.numeric,
        categorical=drafted.features.categorical,
        leaks=tuple(found.leaks.columns),
        first_partition=moment.first.isoformat() if moment else None,
        last_partition=moment.last.isoformat() if moment else None,
        n_days=moment.n_days if moment else 0,
        understood=(*drafted.said.notes, *found.notes),
        doubts=(*drafted.said.doubts, *found.doubts),
        entry=drafted.entry,
    )
