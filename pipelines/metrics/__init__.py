"""How good predictions are, and whether a difference between two models is more than luck.

Pure functions of arrays: training, the gates and the nightly performance all measure with them.
A measure that is not defined is ``nan``, and a ``nan`` never wins a comparison.
"""

from pipelines.metrics.bootstrap import BootstrapGain, paired_day_bootstrap
from pipelines.metrics.names import metric_name
from pipelines.metrics.quality import PrimaryMetric, evaluate_predictions, primary_metric

__all__ = [
    "BootstrapGain",
    "PrimaryMetric",
    "evaluate_predictions",
    "metric_name",
    "paired_day_bootstrap",
    "primary_metric",
]
