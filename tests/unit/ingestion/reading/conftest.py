"""Files of one table, written and staged as a test needs them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config import Settings, SourceConfig, load_settings
from pipelines.ingestion.reading import StagedFile, stage_source
from pipelines.ingestion.reading.batches import StagedContent
from pipelines.ingestion.reading.options import options_of
from pipelines.ingestion.reading.worker import stage_file

Staged = tuple[list[StagedFile], pa.Table]
DAYS = [date(2024, 1, 2), date(2024, 1, 3)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sources").mkdir()
    return load_settings({"HOLDFAST_HOME": str(tmp_path), "HOLDFAST_SOURCES": str(tmp_path / "sources")})


@pytest.fixture
def write(settings: Settings) -> Callable[[str, bytes], Path]:
    """Return a writer of files below the folder of sources."""

    def write_file(name: str, content: bytes) -> Path:
        path = settings.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def parse(settings: Settings, tmp_path: Path) -> Callable[..., tuple[StagedContent, pa.Table]]:
    """Return a parser of one file, without the process and the cache around it."""

    def parse_file(name: str, **fields: Any) -> tuple[StagedContent, pa.Table]:
        source = SourceConfig.model_validate({"kind": "csv", "tables": {"t": name}} | fields)
        target = tmp_path / "parsed.parquet"
        content = stage_file(settings.sources / name, target, name=name, options=options_of(source))
        return content, pq.read_table(target)

    return parse_file


@pytest.fixture
def stage(settings: Settings) -> Callable[..., Staged]:
    """Return a stager: ``stage("*.csv", csv={...})`` gives the files of a location, and their rows."""

    def stage_location(location: str, *, keep_refused: bool = False, **fields: Any) -> Staged:
        source = SourceConfig.model_validate({"kind": "csv", "tables": {"t": location}} | fields)
        with stage_source(source, settings, days=DAYS, keep_refused=keep_refused) as tables:
            files = tables["t"]
            sound = [pq.read_table(file.path) for file in files if file.refusal is None]
            return files, pa.concat_tables(sound, promote_options="default") if sound else pa.table({})

    return stage_location
