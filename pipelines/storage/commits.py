"""One Delta table and what is committed to it: whole partitions, each commit all or nothing.

Of two writers at once one commits; the other looks again, and either finds its work done or tries anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from pipelines.records import PartitionVersion
from pipelines.storage.digest import Content, canonical, content_of, table_digest
from pipelines.storage.files import Rows, write_files
from pipelines.storage.present import PARTITION_COLUMN, held

# What a reader has to hold at once is a row group.
_WRITER = WriterProperties(compression="SNAPPY", max_row_group_size=131_072)
# A commit in between may have been to the partition that this one replaces: look again, don't merge.
_ALONE = CommitProperties(max_commit_retries=0)
_TRIED_AGAIN = retry(
    retry=retry_if_exception_type(CommitFailedError),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.05, max=2.0),
    reraise=True,
)


@dataclass(frozen=True)
class Target:
    """A table to write to.

    Parameters
    ----------
    uri : str
        Where it lies, or will lie.
    name : str
        What its versions are recorded by.
    options : mapping of str to str
        Passed to delta-rs, for S3.
    """

    uri: str
    name: str
    options: Mapping[str, str] = field(repr=False)

    def replace(self, partitions: Mapping[str, pa.Table]) -> list[PartitionVersion]:
        """Make tables the whole content of partitions, in one commit; leave those that hold their rows.

        Raises
        ------
        CommitFailedError
            If other writers won eight times in a row.
        DeltaError, OSError, pyarrow.ArrowInvalid
            If the store fails.
        """
        plain = {key: canonical(rows) for key, rows in partitions.items()}
        contents = {key: content_of(rows) for key, rows in plain.items()}
        return self._versions(contents, self._replace(plain, contents))

    def replace_stream(self, partition_key: str, content: Content, rows: Rows) -> PartitionVersion:
        """Make a stream of rows, of which ``content`` tells, the whole content of one partition.

        Raises
        ------
        CommitFailedError, DeltaError, OSError, pyarrow.ArrowInvalid
            As :meth:`replace`.
        """
        written: list[pa.Table] = []
        del written
        return self._versions({partition_key: content}, _Stream(self, partition_key, content, rows).commit())[0]

    def update(
        self, partition_key: str, change: Callable[[pa.Table], pa.Table], schema: pa.Schema
    ) -> PartitionVersion:
        """Replace a partition by what ``change`` makes of its rows.

        Raises
        ------
        CommitFailedError, DeltaError, OSError, pyarrow.ArrowInvalid
            As :meth:`replace`.
        """

