"""The process that parses: bytes of unknown origin are opened here, and nowhere else.

``python -m pipelines.ingestion.reading.worker`` takes its work as one JSON document on standard
input and tells each file's outcome as a line of JSON on standard output. It holds no credentials
and may take only so much memory: a damaged file can end this process, and no other.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from pipelines.errors import HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading.batches import StagedContent, write_staged
from pipelines.ingestion.reading.csv_file import CsvFile
from pipelines.ingestion.reading.deliveries import fingerprint_of
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.packed import open_plain
from pipelines.ingestion.reading.parquet_file import ParquetFile


def stage_file(path: Path, target: Path, *, name: str, options: ReadingOptions) -> StagedContent:
    """Write the staged Parquet file of one source file.

    Raises
    ------
    SchemaError
        If the file is unreadable as a whole.
    SourceError
        If it was changed while it was read.
    """
    before = path.stat()
    if before.st_size > options.max_file_bytes:
        raise SchemaError(
            f"{name} has {before.st_size:,} bytes, more than {options.max_file_bytes:,}. If that is right, "
            "raise source.limits.max_file_bytes."
        )
    fingerprint = fingerprint_of(path)
    if options.kind == "parquet":
        table = ParquetFile(path, name=name, options=options)
        content = write_staged(
            target, table.batches(), fields=list(table.schema), columns=table.columns, fingerprint=fingerprint
        )
    else:
        with open_plain(path, name=name, max_bytes=options.max_file_bytes) as stream:
            text = CsvFile(stream, name=name, options=options)
            fields = [pa.field(column, pa.string()) for column in text.columns]
            content = write_staged(
                target, text.batches(), fields=fields, columns=text.columns, fingerprint=fingerprint
            )
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise SourceError(f"{name} was changed while it was read. Read it again when it is complete.")
    return content


def main() -> None:
    """Do the work that standard input names."""
    # What libraries print must not reach the reader of the outcomes.
    outcomes = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    work = json.load(sys.stdin)
    options = ReadingOptions.from_json(work["options"])
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    resource.setrlimit(resource.RLIMIT_DATA, (options.max_memory_bytes, options.max_memory_bytes))
    for number, task in enumerate(work["tasks"]):
        _tell(outcomes, number, event="started")
        _tell(outcomes, number, **_outcome(task, options))


def _outcome(task: dict[str, str], options: ReadingOptions) -> dict[str, Any]:
    name = task["name"]
    try:
        content = stage_file(Path(task["path"]), Path(task["target"]), name=name, options=options)
    except HoldfastError as error:
        message = str(error) if name in str(error) else f"{name}: {error}"
        return {"event": "failed", "error": type(error).__name__, "message": message}
    except (MemoryError, pa.ArrowMemoryError):
        return {"event": "too_large"}
    except OSError as error:
        return {"event": "failed", "error": "SourceError", "message": f"{name} can't be read: {error}"}
    return {"event": "staged", "content": asdict(content)}


def _tell(outcomes: IO[str], number: int, **fields: Any) -> None:
    outcomes.write(json.dumps({"task": number} | fields) + "\n")
    outcomes.flush()


if __name__ == "__main__":
    main()
