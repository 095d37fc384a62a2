"""How challengers are made: `training` of a dataset in ``params.yaml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.config.base import Closed


class SearchConfig(Closed):
    """How long to search for better hyperparameters; without trials and minutes there is no search.

    Each candidate's defaults are tried first, so a search never chooses what the validation rows show to be
    worse than what a training without one gives.

    Parameters
    ----------
    trials : int
        How many points to try, the defaults included.
    minutes : float
        After how long to stop. With ``trials`` too: whichever ends first. How many trials fit into a time
        differs from machine to machine; only a number of trials gives the same model everywhere.
    prune : bool
        Whether to give up a trial that falls behind.
    """

    trials: int = Field(default=0, ge=0, le=1_000)
    minutes: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    prune: bool = True

    @property
    def is_on(self) -> bool:
        """Whether there is a search at all."""
        return bool(self.trials or self.minutes)


class TrainingConfig(Closed):
    """How challengers are made.

    ``split: time`` holds the newest ``holdout_days`` back. ``split: rows``, for tables without a time
    or with few days, holds back the ``holdout_fraction`` of all keys that their digests choose: a key
    is on the same side in every partition. One partition is then enough, unless ``min_days`` says otherwise.
    """

    candidates: tuple[Literal["hist_gradient_boosting", "embedding_network", "linear_model"], ...] = (
        "hist_gradient_boosting",
        "embedding_network",
        "linear_model",
    )
    split: Literal["time", "rows"] = "time"
    holdout_days: int = Field(default=14, ge=1)
    holdout_fraction: Annotated[float, Field(gt=0.0, lt=0.9)] = 0.2
    min_days: int = Field(default=28, ge=1)
    max_epochs: int = Field(default=6, ge=1)
    max_iterations: int = Field(default=200, ge=1)
    n_threads: int = Field(default=1, ge=1)
    seed: int = 20130101
    search: SearchConfig = SearchConfig()

    @model_validator(mode="before")
    @classmethod
    def _need_no_days_to_split_rows(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("split") == "rows":
            return {"min_days": 1, **content}
        return content
