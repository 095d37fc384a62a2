"""The kinds of models that may become challengers, and how each is fitted."""

from __future__ import annotations

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.features.encoding import Encoding
from pipelines.training.candidates.boosted_trees import fit_boosted_trees
from pipelines.training.candidates.embedding_network import fit_embedding_network
from pipelines.training.candidates.fitted import FittedCandidate, read_examples
from pipelines.training.candidates.threads import limited_threads

__all__ = ["FittedCandidate", "fit_candidate"]

_FITS = {
    "hist_gradient_boosting": fit_boosted_trees,
    "embedding_network": fit_embedding_network,
}


def fit_candidate(
    name: str,
    train: pa.Table,
    valid: pa.Table,
    *,
    config: DatasetConfig,
    encoding: Encoding,
    seed: int,
) -> FittedCandidate:
    """Fit one kind of model; the same inputs give the same weights, bit for bit, on one kind of machine.

    Parameters
    ----------
    name : str
        One of ``config.training.candidates``.
    train, valid : pyarrow.Table, shape (n, any) and (m, any)
        The feature columns (nulls allowed) and the target (without nulls; for classes their
        numbers). ``valid`` decides only when to stop.
    encoding : Encoding
        Fitted on ``train``.

    Raises
    ------
    DataError
        If there are no rows, a target is missing, or ``train`` holds one class only.
    """
    with limited_threads(config.training.n_threads):
        return _FITS[name](
            read_examples(train, config, encoding),
            read_examples(valid, config, encoding, is_for_validation=True),
            config=config,
            encoding=encoding,
            seed=seed,
        )
