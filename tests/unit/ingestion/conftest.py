"""Sources of the small trips table, written and opened as a test needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trips

from pipelines.config import DatasetConfig, Settings, load_settings
from pipelines.ingestion.partitions import SourceRows, read_partitions
from pipelines.ingestion.sources import open_source


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
def read(settings: Settings) -> Callable[..., SourceRows]:
    """Return a reader: ``read(text, DAY)`` writes one file, ``read({"a.csv": text}, ...)`` several."""

    def read_from(
        files: str | dict[str, str | bytes], *partitions: str, config: DatasetConfig | None = None
    ) -> SourceRows:
        for name, content in ({"all.csv": files} if isinstance(files, str) else files).items():
            path = settings.sources / "trips" / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        chosen = config or trips.config_of()
        with open_source(chosen, settings) as source:
            return read_partitions(source, chosen, partitions or (trips.DAY,))

    return read_from
