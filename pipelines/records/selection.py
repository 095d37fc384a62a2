"""How the model of a training was found among its candidates: the record that the model card reads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.records.base import Record


class SelectionTrial(Record):
    """One point that a search tried.

    Parameters
    ----------
    parameters : mapping of str to float or int
        What differs from the candidate's defaults; empty for the default point.
    state : str
        ``complete``; ``pruned``: given up, for it fell behind; ``failed``: it gave no model, and ``said``
        is why.
    n_rounds : int
        How many rounds (trees, epochs, penalties) it was seen to go.
    metrics : mapping of str to float
        On the validation rows, those that are defined; empty unless it gave a model.
    """

    number: int
    candidate: str
    parameters: dict[str, int | float]
    state: Literal["complete", "pruned", "failed"]
    n_rounds: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    said: str = ""


class SearchBudget(Record):
    """What the configuration granted a search: trials, minutes, or whichever ends first; 0 is no limit."""

    trials: int
    minutes: float
    is_pruned: bool


class SearchSummary(Record):
    """A search in numbers.

    Parameters
    ----------
    metric, greater_is_better
        What was made best, on the validation rows; and its direction.
    best_trial : int
        The number of the trial whose model was kept.
    """

    metric: str
    greater_is_better: bool
    best_trial: int
    n_trials: int
    n_pruned: int
    n_failed: int
    budget: SearchBudget
    seed: int


class CalibrationTried(Record):
    """What became of calibrating the model on rows held back for it.

    Parameters
    ----------
    n_rows, n_groups : int
        The rows held back, and the groups of days (or keys) that each were left out once.
    log_loss_gain, gain_needed : float
        How much lower the log-loss was on groups of days left out, and how much chance alone would give in
        one case of forty.
    is_used : bool
        Whether the model has the calibration.
    """

    n_rows: int
    n_groups: int
    log_loss_gain: float
    gain_needed: float
    is_used: bool


class Selection(Record):
    """What was chosen, and from what; the file ``selection.json`` of a training.

    Parameters
    ----------
    validation : mapping of str to mapping
        The metrics of each candidate's best model on the validation rows.
    search : SearchSummary or None
        None where each candidate was fitted once, with its defaults.
    calibration : CalibrationTried or None
        None where none was tried.
    """

    candidate: str
    validation: dict[str, dict[str, float]]
    n_train_rows: int
    search: SearchSummary | None = None
    trials: tuple[SelectionTrial, ...] = ()
    calibration: CalibrationTried | None = None
