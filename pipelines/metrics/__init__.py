"""How good predictions are, and whether a difference between two models is more than luck.

Pure functions of arrays: training, the gates and the nightly performance all measure with them.
A measure that is not defined is ``nan``, and a ``nan`` never wins a comparison.
"""

from pipelines.metrics.bootstrap import BootstrapGain, paired_day_bootstrap
from pipelines.metrics.calibration import Calibration, measure_calibration
from pipelines.metrics.intervals import Estimate
from pipelines.metrics.model_effect import ModelEffect, measure_model_effect, sure_training_error
from pipelines.metrics.names import metric_name
from pipelines.metrics.paired import PairedDifference, paired_difference
from pipelines.metrics.paired_gain import NOT_COMPARABLE, PairedGain, compare_paired
from pipelines.metrics.quality import PrimaryMetric, evaluate_predictions, primary_metric, row_losses
from pipelines.metrics.sequential import worse_evidence
from pipelines.metrics.slices import (
    GroupGap,
    Slice,
    SliceQuality,
    declared_slices,
    measure_gaps,
    measure_slices,
    slice_column,
)

__all__ = [
    "NOT_COMPARABLE",
    "BootstrapGain",
    "Calibration",
    "Estimate",
    "GroupGap",
    "ModelEffect",
    "PairedDifference",
    "PairedGain",
    "PrimaryMetric",
    "Slice",
    "SliceQuality",
    "compare_paired",
    "declared_slices",
    "evaluate_predictions",
    "measure_calibration",
    "measure_gaps",
    "measure_model_effect",
    "measure_slices",
    "metric_name",
    "paired_day_bootstrap",
    "paired_difference",
    "primary_metric",
    "row_losses",
    "slice_column",
    "sure_training_error",
    "worse_evidence",
]
