"""What is measured of a model on its holdout: `evaluation` of a dataset in ``params.yaml``."""

from __future__ import annotations

from pydantic import Field

from pipelines.config.base import Closed, Fraction


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
    """

    slices: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    threshold: Fraction = 0.5
    explained_rows: int = Field(default=50, ge=0, le=1_000)
