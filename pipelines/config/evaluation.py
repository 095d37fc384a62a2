"""What is measured of a model on its holdout: `evaluation` of a dataset in ``params.yaml``."""

from __future__ import annotations

from pydantic import Field, field_validator

from pipelines.config.base import Closed, Fraction

_MIN_REFITS = 4


class EvaluationConfig(Closed):
    """Which groups of rows are looked at one by one, and how much is explained.

    Parameters
    ----------
    slices, protected : tuple of str
        Columns, features or landed ones, whose levels (quarters, of a number) are looked at; of
        ``protected`` ones the gap between groups is a matter of fairness, and has a gate.
    threshold : float
        A row of a binary task counts as selected from this probability on.
    explained_rows : int
        Of how many rows SHAP values are worked out; 0: of none.
    refits : int
        How many models of the same recipe are fitted, on at most 10,000 rows each, to tell how much of a gain
        is luck of training; 0: none, and it is not told.
    """

    slices: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    threshold: Fraction = 0.5
    explained_rows: int = Field(default=50, ge=0, le=1_000)
    refits: int = Field(default=12, ge=0, le=100)

    @field_validator("refits")
    @classmethod
    def _are_enough(cls, refits: int) -> int:
        if 0 < refits < _MIN_REFITS:
            raise ValueError(f"{refits} models tell too little: at least {_MIN_REFITS}, or 0 for none")
        return refits
