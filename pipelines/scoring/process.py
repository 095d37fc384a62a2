"""A model in a process of its own, which may initialise CUDA whatever its parent was forked from.

The process is a new interpreter, not a child of :mod:`multiprocessing`: the daemonic workers of task
runners may not have such children. Rows go to its standard input and predictions come back by a pipe
of their own (a library may print to standard output), both as Arrow streams, one batch for one batch.
It ends when its input ends, so it can't outlive its parent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.files import Bundle, output_columns, read_bundle
from pipelines.config import PROJECT_ROOT
from pipelines.errors import EngineError, IntegrityError
from pipelines.features.encoding import Encoded
from pipelines.scoring.model import LoadedModel

_MODULE = "pipelines.scoring.process"
_END_SECONDS = 30
_MAX_LAST_WORDS = 1_500


class ModelProcess:
    """The parent's end: the same ``predict`` as a :class:`~pipelines.scoring.model.LoadedModel`.

    Parameters
    ----------
    path : Path
        The bundle's folder; the process reads it anew.
    bundle : Bundle
        As the parent read it; the process refuses other bytes.
    device : {"cpu", "cuda"}
        Where the process reckons.
    """

    def __init__(self, path: Path, bundle: Bundle, device: str) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        # The very code that runs here, wherever it was imported from, and nothing from the working folder.
        paths = [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        replies, child_end = os.pipe()
        self._replies = os.fdopen(replies, "rb")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(path), bundle.digest, device, str(child_end)],
                stdin=subprocess.PIPE,
                stdout=self._complaints,
                stderr=self._complaints,
                pass_fds=(child_end,),
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        finally:
            os.close(child_end)
        assert self._process.stdin is not None, "a pipe was asked for"  # noqa: S101
        self._requests = self._process.stdin
        self._is_multiclass = bundle.description.task == "multiclass"
        encoding = bundle.description.encoding
        self._schema = _request_schema(len(encoding.numeric), len(encoding.categorical))
        self._writer = pa.ipc.new_stream(self._requests, self._schema)

    @cached_property
    def _reader(self) -> pa.RecordBatchStreamReader:
        # Opening it waits for the first reply.
        return pa.ipc.open_stream(self._replies)

    def predict(self, encoded: Encoded) -> npt.NDArray[np.float64]:
        """Return the prediction of each row; as :meth:`pipelines.scoring.model.LoadedModel.predict`.

        Raises
        ------
        EngineError
            If the process failed; with the last lines that it wrote.
        """
        columns = [pa.array(column) for column in (*encoded.numeric.T, *encoded.codes.T)]
        try:
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
            self._requests.flush()
            reply = self._reader.read_next_batch()
        except (OSError, pa.ArrowException, StopIteration) as error:
            raise EngineError(f"The scoring process failed: {self._last_words()}") from error
        columns = [column.to_numpy() for column in reply.columns]
        return np.column_stack(columns) if self._is_multiclass else columns[0]

    def close(self) -> None:
        """End the process and wait for it; again is harmless."""
        # What is still unwritten can't be delivered to a process that failed.
        with suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._replies.close()
        self._complaints.close()

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_SECONDS)
        self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, self._complaints.tell() - _MAX_LAST_WORDS))
        words = self._complaints.read().decode(errors="replace").strip()
        return words or f"it ended with status {self._process.returncode} and said nothing."


def serve(path: Path, digest: str, device: str, requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer each batch of features with a batch of predictions, until there are no more.

    Raises
    ------
    IntegrityError
        If the bundle is not the one of that digest.
    """
    bundle = read_bundle(path)
    if bundle.digest != digest:
        raise IntegrityError(f"{path} has changed since it was opened.")
    model = LoadedModel(bundle, device)
    schema = pa.schema([(name, pa.float64()) for name in output_columns(bundle.description)])
    writer = pa.ipc.new_stream(replies, schema)
    n_numeric = len(bundle.description.encoding.numeric)
    for batch in pa.ipc.open_stream(requests):
        predictions = model.predict(_encoded(batch, n_numeric))
        columns = [pa.array(column) for column in predictions.reshape(len(predictions), -1).T]
        writer.write_batch(pa.record_batch(columns, schema=schema))
        replies.flush()


def _request_schema(n_numeric: int, n_categorical: int) -> pa.Schema:
    numeric = [(f"numeric_{i}", pa.float64()) for i in range(n_numeric)]
    return pa.schema(numeric + [(f"code_{i}", pa.int64()) for i in range(n_categorical)])


def _encoded(batch: pa.RecordBatch, n_numeric: int) -> Encoded:
    numeric = np.empty((batch.num_rows, n_numeric))
    codes = np.empty((batch.num_rows, batch.num_columns - n_numeric), dtype=np.int64)
    for i, column in enumerate(batch.columns):
        into, at = (numeric, i) if i < n_numeric else (codes, i - n_numeric)
        into[:, at] = column.to_numpy()
    return Encoded(numeric, codes)


def main() -> None:
    """Serve what comes by standard input, on the pipe whose number is the last argument."""
    path, digest, device, pipe = sys.argv[1:]
    with os.fdopen(int(pipe), "wb") as replies:
        serve(Path(path), digest, device, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
