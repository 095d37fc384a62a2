"""Sources of the small trips table, written and opened as a test needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import trips

from pipelines.config import DatasetConfig, Settings, load_settings
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.deliveries import Known, look_for_changes
from pipelines.ingestion.partitions import Reading
from pipelines.ingestion.sources import open_source
from pipelines.steps.landing import Refusals


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sources" / "trips").mkdir(parents=True)
    return load_settings(
        {
            "HOLDFAST_PROJECT": str(tmp_path),
            "HOLDFAST_HOME": str(tmp_path),
            "HOLDFAST_SOURCES": str(tmp_path / "sources"),
        }
    )


@pytest.fixture
def read(settings: Settings) -> Callable[..., trips.Found]:
    """Return a reader: ``read(text, DAY)`` writes one file, ``read({"a.csv": text}, ...)`` several."""

    def read_from(
        files: str | dict[str, str | bytes], *partitions: str, config: DatasetConfig | None = None
    ) -> trips.Found:
        for name, content in ({"all.csv": files} if isinstance(files, str) else files).items():
            path = settings.sources / "trips" / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return look(settings, config or trips.config_of(), partitions or (trips.DAY,))

    return read_from


def look(settings: Settings, config: DatasetConfig, partitions: Sequence[str]) -> trips.Found:
    """Read some partitions of a source as it is."""
    days = [source_date(key, config.source.replay_year) for key in partitions]
    with open_source(config, settings, days=days) as source:
        reading = Reading(source, config)
        delivered = look_for_changes(reading, Known())
        refusals = Refusals.of(config, source, delivered)
        files = delivered.files_of({day.isoformat() for day in days}, source.files)
        landed = {each.key: each for each in reading.partitions(partitions, files, scratch=settings.home)}
        columns = [
            "row_id",
            "event_time",
            *config.columns,
            "miscast",
            "source_file",
            "source_line",
            "position",
        ]
        tables = {key: each.raw(config).read_all().select(columns) for key, each in landed.items()}
        labels = {key: each.store.select(list(config.labels)) for key, each in landed.items()}
    for key, table in labels.items():
        for name in table.column_names:
            tables[key] = tables[key].append_column(name, table[name])
    return trips.Found(
        rows=tables,
        counts={key: each.counts for key, each in landed.items()},
        refused_days=refusals.days,
        suspects=refusals.suspects,
        n_undated=refusals.n_undated,
    )
