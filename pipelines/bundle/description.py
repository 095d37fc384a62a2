"""``model.json``: what a model is, in a closed vocabulary."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.config import Task
from pipelines.config.datasets import MAX_CLASSES
from pipelines.features.encoding import Encoding

# A leaf is one bit of a positive int32 in the scorer, so a tree has no more of them.
MAX_LEAVES = 31

_Count = Annotated[int, Field(ge=0, le=10_000_000)]
_Width = Annotated[int, Field(ge=1, le=4_096)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TreesArchitecture(_Closed):
    """A sum of binary decision trees over a baseline, in log-odds for task ``binary``.

    For ``multiclass`` tree ``i`` adds to class ``i % K`` alone, and the softmax of the K sums is what is
    predicted.
    """

    family: Literal["trees"] = "trees"
    n_trees: _Count
    n_nodes: _Count
    # Splits by category: each has a row that says which codes go left.
    n_category_splits: _Count
    category_width: _Width


class NetworkArchitecture(_Closed):
    """A multilayer perceptron over standardised numbers, missing indicators and embeddings.

    Its one output is in log-odds for task ``binary``; for ``regression`` it is the standardised
    target, to be scaled by ``target_std`` and moved by ``target_mean``. For ``multiclass`` it has one a
    class, of which the softmax is taken.
    """

    family: Literal["network"] = "network"
    embedding_widths: tuple[_Width, ...]
    hidden_widths: tuple[_Width, ...] = Field(min_length=1)
    # Standardised inputs are clipped to this many standard deviations either way.
    input_limit: float = Field(gt=0)
    target_mean: float = 0.0
    target_std: float = Field(default=1.0, gt=0)


class LinearArchitecture(_Closed):
    """Weighted sums of standardised numbers, missing indicators and levels.

    In log-odds for task ``binary``, in units of the target for ``regression``; for ``multiclass`` there is
    one sum a class, of which the softmax is taken.
    """

    family: Literal["linear"] = "linear"
    # Standardised inputs are clipped to this many standard deviations either way.
    input_limit: float = Field(gt=0)


Architecture = Annotated[
    TreesArchitecture | NetworkArchitecture | LinearArchitecture, Field(discriminator="family")
]


class Calibration(_Closed):
    """What becomes of a model's sums before they are made probabilities: ``slope * sum + intercept``.

    A slope above zero keeps the order of a binary model's rows. There is one intercept an output.
    """

    slope: float = Field(gt=0)
    intercepts: tuple[float, ...] = Field(min_length=1)


class TrainingNotes(_Closed):
    """How the weights came about; nothing in it differs between two runs of one training."""

    library: str
    seed: int
    n_rows: _Count
    n_valid_rows: _Count
    # Trees kept, or epochs or penalties up to the one kept.
    n_rounds: _Count
    valid_loss: float
    # Hyperparameters that were chosen; left out where all are the defaults, so that such models keep their
    # bytes.
    parameters: dict[str, float] = Field(default={}, exclude_if=lambda parameters: not parameters)


class BundleDescription(_Closed):
    """The whole of ``model.json``.

    ``classes`` are the target's values in the order of the outputs: all of a multiclass task, the
    negative and the positive one of a binary task that has names for them, else none.
    """

    format: Literal["holdfast-bundle"] = "holdfast-bundle"
    format_version: Literal[1] = 1
    candidate: str
    task: Task
    target: str
    # Left out where there are none, so that such models keep their bytes.
    classes: tuple[str, ...] = Field(default=(), exclude_if=lambda classes: not classes)
    encoding: Encoding
    architecture: Architecture
    # Left out where there is none, so that such models keep their bytes.
    calibration: Calibration | None = Field(default=None, exclude_if=lambda calibration: calibration is None)
    training: TrainingNotes

    @property
    def family(self) -> str:
        """The model family, which chooses the scorer's code path: ``trees``, ``network`` or ``linear``."""
        return self.architecture.family

    @property
    def n_outputs(self) -> int:
        """How many numbers the model gives a row: one a class of a multiclass task, else one."""
        return len(self.classes) if self.task == "multiclass" else 1

    @model_validator(mode="after")
    def _classes_fit(self) -> BundleDescription:
        n_classes = len(self.classes)
        allowed = {"binary": (0, 2), "regression": (0,), "multiclass": range(3, MAX_CLASSES + 1)}
        if n_classes not in allowed[self.task] or len(set(self.classes)) != n_classes:
            raise ValueError(f"{n_classes} classes (or the same one twice) do not fit task {self.task}")
        if isinstance(self.architecture, TreesArchitecture) and self.architecture.n_trees % self.n_outputs:
            raise ValueError(
                f"{self.architecture.n_trees} trees are not as many for each of {n_classes} classes"
            )
        return self

    @model_validator(mode="after")
    def _calibration_fits(self) -> BundleDescription:
        if self.calibration is None:
            return self
        if self.task == "regression":
            raise ValueError("a regression has no probabilities to calibrate")
        if (n_found := len(self.calibration.intercepts)) != self.n_outputs:
            raise ValueError(f"{n_found} intercepts of the calibration for {self.n_outputs} outputs")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> BundleDescription:
        if isinstance(self.architecture, NetworkArchitecture):
            n_widths, n_columns = len(self.architecture.embedding_widths), len(self.encoding.categorical)
            if n_widths != n_columns:
                raise ValueError(f"{n_widths} embedding widths for {n_columns} categorical columns")
        return self
