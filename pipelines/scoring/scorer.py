"""The one scorer: every model family, CPU and GPU, held to its training library's own predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.description import BundleDescription
from pipelines.bundle.files import Bundle, outputs_of, read_bundle
from pipelines.errors import IntegrityError
from pipelines.features.encoding import encode
from pipelines.scoring.device import Device, choose_device
from pipelines.scoring.model import LoadedModel
from pipelines.scoring.process import ModelProcess

# Absolute for predictions up to 1, relative beyond.
TOLERANCE = 1e-6
SHARD_ROWS = 2**18


class Scorer:
    """A bundle that is open for scoring.

    Parameters
    ----------
    bundle : Bundle
        As read and checked.
    model : LoadedModel or ModelProcess
        What reckons, here or in a process of its own.
    device : {"cpu", "cuda"}
        Where it reckons.

    Raises
    ------
    IntegrityError
        If ``model`` does not repeat the golden predictions to 1e-6; ``model`` is closed.

    Notes
    -----
    :meth:`open` chooses the model for the device. Close a scorer, or use it in a ``with`` block: on
    ``cuda`` it holds a process.
    """

    def __init__(self, bundle: Bundle, model: LoadedModel | ModelProcess, device: Device) -> None:
        self._bundle = bundle
        self._model = model
        self.device = device
        try:
            self._verify()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, bundle_path: Path, device: str = "auto") -> Scorer:
        """Read a bundle, put it on a device and verify its golden rows there.

        Parameters
        ----------
        bundle_path : Path
            A folder that :func:`~pipelines.bundle.files.write_bundle` wrote.
        device : {"auto", "cpu", "cuda"}
            As for :func:`~pipelines.scoring.device.choose_device`.

        Raises
        ------
        IntegrityError
            If it is no bundle, or does not repeat its golden predictions here.
        ConfigError
            If ``cuda`` is asked for and there is none.
        EngineError
            If the GPU's process fails.
        """
        bundle = read_bundle(bundle_path)
        chosen = choose_device(device)
        if chosen == "cpu":
            return cls(bundle, LoadedModel(bundle, chosen), chosen)
        return cls(bundle, ModelProcess(bundle_path, bundle, chosen), chosen)

    @property
    def digest(self) -> str:
        """The digest of the bundle that was read."""
        return self._bundle.digest

    @property
    def description(self) -> BundleDescription:
        """What the bundle says of itself."""
        return self._bundle.description

    def predict(
        self, features: pa.Table, *, progress: Callable[[int, int], None] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the probability of 1 (task ``binary``), of each class (``multiclass``), or the value.

        Parameters
        ----------
        features : pyarrow.Table, shape (n, any)
            With the model's feature columns; others are ignored. Nulls and levels that training
            never saw are allowed. Worked on in shards, so that memory beyond it stays bounded.
        progress : callable, optional
            Is told the rows done and the rows in all, after each shard.

        Returns
        -------
        ndarray of float64, shape (n,), or (n, K) for task ``multiclass``

        Raises
        ------
        SchemaError
            If a feature column is missing, or a numeric one holds something else.
        """
        description = self._bundle.description
        shape = (features.num_rows, description.n_outputs)
        predictions = np.empty(shape if description.task == "multiclass" else shape[:1])
        for first in range(0, features.num_rows, SHARD_ROWS):
            shard = encode(features.slice(first, SHARD_ROWS), description.encoding)
            n_done = first + len(shard.numeric)
            predictions[first:n_done] = self._model.predict(shard)
            if progress is not None:
                progress(n_done, features.num_rows)
        return predictions

    def close(self) -> None:
        """Give back what the model holds."""
        if isinstance(self._model, ModelProcess):
            self._model.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _verify(self) -> None:
        golden = self._bundle.golden
        expected = outputs_of(golden, self._bundle.description)
        error = np.abs(self.predict(golden) - expected) / np.maximum(1.0, np.abs(expected))
        # The comparison is also false for nan.
        if not (error <= TOLERANCE).all():
            raise IntegrityError(
                f"The model does not repeat its golden predictions on {self.device}: off by up to "
                f"{np.nanmax(error, initial=0.0):.3g}, {TOLERANCE:g} is allowed. Train anew."
            )
