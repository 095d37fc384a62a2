"""Read a table that somebody brings, as far as it takes to understand it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import duckdb
from pydantic import ValidationError

from pipelines.config import CsvConfig, Settings, SourceConfig
from pipelines.config.explanations import explain
from pipelines.errors import ConfigError, SchemaError
from pipelines.ingestion.reading import StagedFile, peek, stage_source
from pipelines.ingestion.sniffing import sniff
from pipelines.onboarding.entry import Place, Wishes
from pipelines.onboarding.locations import Location, locate_source
from pipelines.onboarding.names import clean_names
from pipelines.onboarding.sample import CELLS, PLACE, Sample, sample_of, take_sample
from pipelines.onboarding.understanding import Asked
from pipelines.storage.sql import identifier

_N_BYTES = 1_000_000
_ANSWERS = "holdfast_answers"


@dataclass(frozen=True)
class TableRequest:
    """What a person asks for when they bring a table.

    Parameters
    ----------
    source : str
        A path, pattern, address or database; see :func:`~pipelines.onboarding.locations.locate_source`.
    table : str, optional
        Of a database.
    labels : str, optional
        A second file, which holds the target.
    labels_key : tuple of str
        The columns that both files have.
    asked : Asked
        Target, time, key and task, as far as they are given.
    wishes : Wishes
        Owner, schedule and the like.
    force : bool
        Overwrite what is there.
    """

    source: str
    table: str | None = None
    labels: str | None = None
    labels_key: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)
    wishes: Wishes = field(default_factory=Wishes)
    force: bool = False


@dataclass
class Said:
    """What was understood on the way, and what is unsure: a sentence each."""

    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def open_table(
    name: str,
    request: TableRequest,
    *,
    settings: Settings,
    connection: duckdb.DuckDBPyConnection,
    said: Said,
) -> tuple[Sample, Place]:
    """Read a source, and the labels if they lie apart; return a sample, and where it comes from.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        What the sample is loaded into.
    said : Said
        Takes what was understood on the way.

    Raises
    ------
    ConfigError
        If there is no such source, or the two files do not fit together.
    SchemaError, SourceError
        If it can't be read as a table.
    """
    location = locate_source(request.source, sources=settings.sources, table=request.table)
    csv, kind, header = _dialect(location, settings, said)
    tables = {location.table: location}
    if request.labels is not None:
        other = locate_source(request.labels, sources=settings.sources)
        other_csv, other_kind, _ = _dialect(other, settings, Said())
        if (other_kind, other_csv) != (kind, csv):
            raise ConfigError(
                f"{request.labels} ({_spoken(other_kind, other_csv)}) is not written as {request.source} "
                f"({_spoken(kind, csv)}): save both alike, for one source has one dialect."
            )
        tables["labels" if location.table != "labels" else "answers"] = other
    conflicts = _conflicts(header)
    with _staged(tables, kind, csv, conflicts, settings=settings) as staged:
        files = [list(found) for found in staged.values()]
        columns = dict.fromkeys(chain.from_iterable(f.columns for found in files for f in found))
        names = clean_names(columns)
        sample, keys = _sample(connection, files, names, request=request, said=said)
    place = Place(
        kind=kind,
        tables={table: found.where for table, found in tables.items()},
        url=location.url,
        csv=csv if kind == "csv" else None,
        sql=f"pipelines/ingestion/sql/{name}.sql" if len(tables) > 1 else None,
        rename=names | conflicts,
        labels_key=keys,
    )
    return sample, place


def _dialect(location: Location, settings: Settings, said: Said) -> tuple[CsvConfig, str, tuple[str, ...]]:
    """Return how the files are written, of which kind they are after all, and their header."""
    if location.kind != "csv":
        return CsvConfig(), location.kind, ()
    source = SourceConfig.model_validate({"kind": "csv", "tables": {location.table: location.any_night}})
    peeked = peek(source, settings, n_bytes=_N_BYTES)
    if not peeked:
        raise SchemaError(f"{location.where}: there is no file to look at.")
    if peeked[0].data.startswith(b"PAR1"):
        return CsvConfig(), "parquet", ()
    sniffed = [sniff(file.data, name=file.name, is_whole=len(file.data) < _N_BYTES) for file in peeked]
    said.notes.extend(sniffed[0].notes)
    said.doubts.extend(sniffed[0].doubts)
    for other, file in zip(sniffed[1:], peeked[1:], strict=True):
        if other.csv != sniffed[0].csv:
            said.doubts.append(
                f"{file.name} seems to be written otherwise than {peeked[0].name}: {other.notes[0]}"
            )
    return sniffed[0].csv, "csv", sniffed[0].names


def _spoken(kind: str, csv: CsvConfig) -> str:
    return f"{csv.encoding} between {csv.delimiter!r}" if kind == "csv" else kind


def _conflicts(header: Sequence[str]) -> dict[str, str]:
    """Return new names for columns that can't even be read by theirs: two but for case, or one of ours."""
    counts = Counter(name.lower() for name in header)
    return {
        name: clean
        for name, clean in clean_names(header).items()
        if name != clean and (counts[name.lower()] > 1 or name.lower().startswith("holdfast_"))
    }


@contextmanager
def _staged(
    tables: Mapping[str, Location],
    kind: str,
    csv: CsvConfig,
    rename: Mapping[str, str],
    *,
    settings: Settings,
) -> Iterator[dict[str, list[StagedFile]]]:
    """Stage all files, as text wherever they are text: no cell counts as missing yet."""
    first = next(iter(tables.values()))
    content = {
        "kind": kind,
        "tables": {t: found.where if kind == "sql" else found.any_night for t, found in tables.items()},
        "url": first.url,
        "csv": csv.model_dump(),
        "missing": ("",),
        "rename": dict(rename),
        "sql": "not asked for" if len(tables) > 1 else None,
    }
    try:
        source = SourceConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, "The source", SourceConfig)) from error
    with stage_source(source, settings, days=[datetime.now(UTC).date()], keep_refused=True) as staged:
        for files in staged.values():
            if not files:
                raise SchemaError(f"{first.where}: there is no file to read.")
            if all(file.refusal is not None for file in files):
                raise SchemaError(str(files[0].refusal))
        yield staged


def _sample(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Sequence[StagedFile]],
    names: Mapping[str, str],
    *,
    request: TableRequest,
    said: Said,
) -> tuple[Sample, tuple[str, ...]]:
    """Return the sample, with the labels joined to it, and the columns that they were joined by."""
    keys: tuple[str, ...] = ()
    if len(files) > 1:
        answers = _load(connection, files[1], names, Said())
        connection.execute(f"CREATE OR REPLACE TABLE {_ANSWERS} AS SELECT * FROM {CELLS}")  # noqa: S608
        sample, keys = _joined(_load(connection, files[0], names, said), answers, request, names)
    else:
        sample = _load(connection, files[0], names, said)
    if sample.n_rows == 0:
        raise SchemaError(f"{request.source[:200]} has no rows to learn from.")
    shown = "all" if sample.is_whole else f"{sample.n_rows:,}, from all over the table,"
    said.notes.append(f"{sample.n_total:,} rows, {shown} of which were looked at.")
    if not sample.is_whole:
        said.doubts.append("What was not looked at may hold other values, and keys that come twice.")
    return sample, keys


def _load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[StagedFile],
    names: Mapping[str, str],
    said: Said,
) -> Sample:
    sound = [file for file in files if file.refusal is None]
    said.doubts.extend(file.refusal for file in files if file.refusal is not None)
    present = dict.fromkeys(chain.from_iterable(file.columns for file in sound))
    n_rejected, n_blank = sum(f.n_rejected for f in sound), sum(f.n_blank for f in sound)
    if n_rejected:
        said.doubts.append(
            f"{n_rejected:,} records are no rows (ragged, or unreadable); they go to quarantine."
        )
    if n_blank:
        said.notes.append(f"{n_blank:,} records are empty; they are left aside.")
    return take_sample(
        connection, [f.path for f in sound], names={column: names[column] for column in present}
    )


def _joined(
    sample: Sample, answers: Sample, request: TableRequest, names: Mapping[str, str]
) -> tuple[Sample, tuple[str, ...]]:
    """Join the labels to the sample, as the source's query will."""
    known = {**{clean: clean for clean in names.values()}, **names}
    keys = [known.get(key, key) for key in request.labels_key]
    keys = keys or [name for name in sample.names if name in answers.names]
    for key in keys:
        if key not in sample.names or key not in answers.names:
            raise ConfigError(f"--labels-key {key}: {request.source} and {request.labels} must both have it.")
    if not keys:
        raise ConfigError(f"{request.labels} shares no column with {request.source}: say --labels-key.")
    target = _answer(answers, keys, known.get(request.asked.target or "", request.asked.target), request)
    both = ", ".join(map(identifier, keys))
    own = f" EXCLUDE ({identifier(target)})" if target in sample.names else ""
    sample.connection.execute(
        f"CREATE OR REPLACE TABLE {CELLS} AS SELECT cells.*{own}, answers.answer AS {identifier(target)} "  # noqa: S608
        f"FROM {CELLS} AS cells LEFT JOIN (SELECT {both}, arg_max({identifier(target)}, {PLACE}) AS answer "
        f"FROM {_ANSWERS} GROUP BY ALL) AS answers USING ({both})"
    )
    joined = sample.names | {target: answers.names[target]}
    return sample_of(sample.connection, joined, n_total=sample.n_total), tuple(keys)


def _answer(answers: Sample, keys: Sequence[str], target: str | None, request: TableRequest) -> str:
    """Return the column of the labels that is the target: the one asked for, or the only one."""
    others = [name for name in answers.names if name not in keys]
    if target is None and len(others) == 1:
        return others[0]
    if target not in others or target is None:
        raise ConfigError(f"--target must name a column of {request.labels}: {', '.join(others[:10])}.")
    return target
