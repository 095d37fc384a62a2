"""Tables as small counts that add up: what drift is judged by, from 50 rows to 100 million."""

from pipelines.monitoring.sketch.columns import CategorySketch, NumericSketch
from pipelines.monitoring.sketch.counting import sketch_days, sketch_parquet, sketch_table
from pipelines.monitoring.sketch.distances import (
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    missing_share_difference,
    new_level_share,
    population_stability_index,
    wasserstein,
)
from pipelines.monitoring.sketch.drawing import Histogram, histogram, quantiles
from pipelines.monitoring.sketch.grid import Grid, learn_grid
from pipelines.monitoring.sketch.table import DaySketches, TableSketch

__all__ = [
    "CategorySketch",
    "DaySketches",
    "Grid",
    "Histogram",
    "NumericSketch",
    "TableSketch",
    "chi_square",
    "histogram",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "learn_grid",
    "missing_share_difference",
    "new_level_share",
    "population_stability_index",
    "quantiles",
    "sketch_days",
    "sketch_parquet",
    "sketch_table",
    "wasserstein",
]
