"""Candidate ``embedding_network``: a small torch network with an embedding for each categorical column."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.bundle.description import BundleDescription, NetworkArchitecture, TrainingNotes
from pipelines.config import DatasetConfig, Task
from pipelines.errors import DataError
from pipelines.features.encoding import Encoded, Encoding, encode
from pipelines.training.candidates.fitted import Examples, FitOptions, FittedCandidate, Floats

_NAME = "embedding_network"
_INPUT_LIMIT = 8.0
_MAX_BATCH_ROWS, _MIN_BATCH_ROWS = 1024, 64
# A small table still gets enough steps an epoch to learn from.
_MIN_STEPS = 100


def fit_embedding_network(
    train: Examples, valid: Examples, *, config: DatasetConfig, encoding: Encoding, options: FitOptions
) -> FittedCandidate:
    """Train for ``max_epochs``, and keep the epoch with the least loss on ``valid``."""
    architecture = _architecture(train, encoding, config.task, options.parameters)
    with _repeatable(options.seed):
        network = _Network(encoding, architecture, len(config.classes) if config.task == "multiclass" else 1)
        network.dropout = options.parameters["dropout"]
        network.hidden_fraction = options.parameters["hidden_fraction"]
        best_epoch, valid_loss = _train(network, train, valid, config=config, options=options)
    description = BundleDescription(
        candidate=_NAME,
        task=config.task,
        target=config.target,
        classes=config.classes,
        encoding=encoding,
        architecture=architecture,
        training=TrainingNotes(
            library=f"torch {torch.__version__}",
            seed=options.seed,
            n_rows=len(train.target),
            n_valid_rows=len(valid.target),
            n_rounds=best_epoch,
            valid_loss=valid_loss,
            parameters=dict(options.changed),
        ),
    )
    tensors = {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}
    # The weights are float32; what is reckoned with them is float64, as the scorer does.
    exact = copy.deepcopy(network).double().eval()

    def score(table: pa.Table) -> Floats:
        encoded = encode(table, encoding)
        with torch.inference_mode():
            raw = (
                exact(*network.inputs(encoded, torch.float64)) * architecture.target_std
                + architecture.target_mean
            )
        scores: Floats = (raw if config.task == "multiclass" else raw[:, 0]).numpy()
        return scores

    def predict(table: pa.Table) -> Floats:
        return _outcome(score(table), config.task)

    return FittedCandidate(_NAME, description, tensors, predict, score)


def _outcome(scores: Floats, task: Task) -> Floats:
    if task == "regression":
        return scores
    raw = torch.from_numpy(scores)
    chances: Floats = (torch.softmax(raw, dim=1) if task == "multiclass" else torch.sigmoid(raw)).numpy()
    return chances


def _architecture(
    train: Examples, encoding: Encoding, task: Task, chosen: Mapping[str, float]
) -> NetworkArchitecture:
    widest = int(chosen["max_embedding_width"])
    widths = [min(widest, 1 + (len(column.levels) + 1) // 2) for column in encoding.categorical]
    is_scaled = task == "regression"
    mean, std = (float(train.target.mean()), float(train.target.std())) if is_scaled else (0.0, 1.0)
    return NetworkArchitecture(
        embedding_widths=tuple(widths),
        hidden_widths=tuple(int(chosen["width"]) >> i for i in range(int(chosen["n_layers"]))),
        input_limit=_INPUT_LIMIT,
        target_mean=mean,
        target_std=std if std > 0 else 1.0,
    )


class _Network(nn.Module):
    """The network; its parameters bear the names of the bundle's tensors."""

    # Shares of hidden units and of inputs that are hidden at random while training.
    dropout: float
    hidden_fraction: float

    def __init__(self, encoding: Encoding, architecture: NetworkArchitecture, n_outputs: int) -> None:
        super().__init__()
        self.scale = architecture
        self._mean = np.array([column.mean for column in encoding.numeric])
        self._std = np.array([column.std for column in encoding.numeric])
        self._limit = architecture.input_limit
        self.unknown_codes = torch.tensor(
            [column.unknown_code for column in encoding.categorical], dtype=torch.int64
        )
        self.embedding = nn.ParameterList(
            nn.Parameter(torch.randn(column.unknown_code + 1, width) * width**-0.5)
            for column, width in zip(encoding.categorical, architecture.embedding_widths, strict=True)
        )
        widths = [
            2 * len(encoding.numeric) + sum(architecture.embedding_widths),
            *architecture.hidden_widths,
            n_outputs,
        ]
        self.layer = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def inputs(self, encoded: Encoded, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
        """Return standardised numbers (0 where missing), whether each is missing, and codes."""
        is_missing = ~np.isfinite(encoded.numeric)
        with np.errstate(over="ignore"):  # a number that is too far out becomes infinite, and is clipped
            standard = (np.where(is_missing, self._mean, encoded.numeric) - self._mean) / self._std
        clipped = np.clip(standard, -self._limit, self._limit)
        return (
            torch.from_numpy(clipped).to(dtype),
            torch.from_numpy(is_missing).to(dtype),
            torch.from_numpy(encoded.codes),
        )

    def with_some_hidden(self, numbers: Tensor, is_missing: Tensor, codes: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs with a few of them made missing and unknown at random."""
        hidden = torch.rand(numbers.shape) < self.hidden_fraction
        unknown = torch.rand(codes.shape) < self.hidden_fraction
        return (
            numbers.masked_fill(hidden, 0.0),
            is_missing.masked_fill(hidden, 1.0),
            torch.where(unknown, self.unknown_codes, codes),
        )

    def forward(self, numbers: Tensor, is_missing: Tensor, codes: Tensor) -> Tensor:
        parts = [numbers, is_missing]
        parts += [functional.embedding(codes[:, i], table) for i, table in enumerate(self.embedding)]
        hidden = torch.cat(parts, dim=1)
        for layer in self.layer[:-1]:
            hidden = functional.dropout(functional.relu(layer(hidden)), self.dropout, self.training)
        output: Tensor = self.layer[-1](hidden)
        return output


def _train(
    network: _Network, train: Examples, valid: Examples, *, config: DatasetConfig, options: FitOptions
) -> tuple[int, float]:
    """Train ``network`` in place; return the epoch that was kept and its loss on ``valid``."""
    goal, valid_goal = (_goal(examples.target, config.task, network.scale) for examples in (train, valid))
    loss_of = _LOSSES[config.task]
    inputs, valid_inputs = network.inputs(train.encoded), network.inputs(valid.encoded)
    n_epochs = config.training.max_epochs
    batch_rows = min(_MAX_BATCH_ROWS, max(_MIN_BATCH_ROWS, len(goal) // _MIN_STEPS))
    rate, decay = options.parameters["learning_rate"], options.parameters["weight_decay"]
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, epochs=n_epochs, steps_per_epoch=math.ceil(len(goal) / batch_rows)
    )
    best_epoch, best_loss, best_weights = 0, math.inf, copy.deepcopy(network.state_dict())
    for epoch in range(1, n_epochs + 1):
        network.train()
        for rows in torch.split(torch.randperm(len(goal)), batch_rows):
            optimiser.zero_grad()
            batch = network.with_some_hidden(*(part[rows] for part in inputs))
            torch.autograd.backward(loss_of(network(*batch), goal[rows]))
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            loss = float(loss_of(network(*valid_inputs), valid_goal))
        if loss < best_loss:
            best_epoch, best_loss, best_weights = epoch, loss, copy.deepcopy(network.state_dict())
        options.on_round(epoch, loss * network.scale.target_std**2)
    if not math.isfinite(best_loss):
        raise DataError(f"The network found no finite loss on {config.target}: look for extreme values.")
    network.load_state_dict(best_weights)
    return best_epoch, best_loss


_LOSSES: dict[Task, Callable[[Tensor, Tensor], Tensor]] = {
    "binary": functional.binary_cross_entropy_with_logits,
    "multiclass": functional.cross_entropy,
    "regression": functional.mse_loss,
}


def _goal(target: Floats, task: Task, scale: NetworkArchitecture) -> Tensor:
    """Return what the raw outputs are held to: class numbers, shape (n,), or one column of values."""
    if task == "multiclass":
        return torch.from_numpy(target.astype(np.int64))
    return torch.from_numpy((target - scale.target_mean) / scale.target_std).float()[:, None]


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seed torch and hold it to repeatable algorithms; give back its state afterwards."""
    was_on = torch.are_deterministic_algorithms_enabled()
    was_lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was_on, warn_only=was_lenient)
