"""Search over candidates and their hyperparameters: bounded, pruned, seeded, and resumable after a kill.

A search is a sequence of trials. What is tried next follows from the seed and the trials before it alone, so
a search that was killed and one that never was find the same, byte for byte.
"""

from pipelines.training.search.budget import Budget
from pipelines.training.search.loop import search
from pipelines.training.search.proposals import Space
from pipelines.training.search.study import Study
from pipelines.training.search.trials import Measure, Trial, best_of

__all__ = ["Budget", "Measure", "Space", "Study", "Trial", "best_of", "search"]
