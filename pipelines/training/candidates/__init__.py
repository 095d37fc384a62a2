"""The kinds of models that may become challengers, and how each is fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.features.encoding import Encoding
from pipelines.training.candidates.calibration import calibrate, calibration_slice
from pipelines.training.candidates.fitted import FitOptions, FittedCandidate, read_examples
from pipelines.training.candidates.parameters import PARAMETERS, Parameter, complete
from pipelines.training.candidates.threads import limited_threads

__all__ = [
    "PARAMETERS",
    "FittedCandidate",
    "Parameter",
    "calibrate",
    "calibration_slice",
    "fit_candidate",
]


def fit_candidate(
    name: str,
    train: pa.Table,
    valid: pa.Table,
    *,
    config: DatasetConfig,
    encoding: Encoding,
    seed: int,
    parameters: Mapping[str, float | int] | None = None,
    on_round: Callable[[int, float], None] | None = None,
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
    parameters : mapping of str to float, optional
        Hyperparameters to change, by name; ``PARAMETERS[name]`` says which there are, and their defaults.
    on_round : callable, optional
        Is told each round (tree, epoch or penalty; from 1 on) and the loss on ``valid`` after it: log-loss,
        or of a regression the mean squared error. What it raises ends the fit, and is passed on.

    Raises
    ------
    ConfigError
        If the candidate has no such parameter, or a value is out of its bounds.
    DataError
        If there are no rows, a target is missing, or ``train`` holds one class only.
    """
    options = FitOptions(seed, complete(name, parameters), dict(parameters or {}), on_round or _say_nothing)
    fit = _fit_of(name)
    with limited_threads(config.training.n_threads):
        return fit(
            read_examples(train, config, encoding),
            read_examples(valid, config, encoding, is_for_validation=True),
            config=config,
            encoding=encoding,
            options=options,
        )


def _fit_of(name: str) -> Callable[..., FittedCandidate]:
    """Return what fits a kind of model; scikit-learn and torch are imported for the kinds that need them."""
    if name == "hist_gradient_boosting":
        from pipelines.training.candidates.boosted_trees import fit_boosted_trees

        return fit_boosted_trees
    if name == "linear_model":
        from pipelines.training.candidates.linear_model import fit_linear_model

        return fit_linear_model
    from pipelines.training.candidates.embedding_network import fit_embedding_network

    return fit_embedding_network


def _say_nothing(_round: int, _loss: float) -> None:
    """Stand in for a listener where there is none."""
