"""Reading: from a location (files, S3, HTTP, a database) to one staged Parquet file per source file.

:func:`stage_source` is the one door. What it stages is text as the source wrote it (CSV) or values
of the source's own types (Parquet, SQL); casting them to the declared types comes after.
"""

from pipelines.ingestion.reading.locations import source_uri
from pipelines.ingestion.reading.peeking import peek
from pipelines.ingestion.reading.staged import LINE_COLUMN, REJECT_COLUMN, Peeked, StagedFile
from pipelines.ingestion.reading.staging import stage_source

__all__ = ["LINE_COLUMN", "REJECT_COLUMN", "Peeked", "StagedFile", "peek", "source_uri", "stage_source"]
