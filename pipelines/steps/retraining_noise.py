"""What luck of training makes of a model, measured on its holdout by models of the same recipe."""

from __future__ import annotations

import logging
import math

from pipelines.config import DatasetConfig
from pipelines.errors import DataError
from pipelines.evaluation.holdout import Floats, Holdout
from pipelines.metrics import measure_model_effect, primary_metric
from pipelines.records import RetrainingNoise
from pipelines.training.refits import Recipe, refit, spread_of_more_rows
from pipelines.training.row_split import Examples

_LOG = logging.getLogger(__name__)
_MAX_ROWS = 20_000


def measure_retraining_noise(
    examples: Examples, holdout: Holdout, recipe: Recipe
) -> tuple[RetrainingNoise | None, str]:
    """Fit a recipe again, several times, and hold its models against one another on the holdout.

    At most 20,000 rows of the holdout are used, evenly spread.

    Returns
    -------
    RetrainingNoise or None
        None where it can't be told. The same examples and recipe give the same record.
    str
        Why not; else empty.
    """
    config, held_out = holdout.config, holdout.spread(_MAX_ROWS)
    if not config.evaluation.refits:
        return None, "evaluation.refits is 0"
    _LOG.info("Fit %s again, %d times", recipe.candidate, config.evaluation.refits)
    try:
        predictions = _predictions(examples, held_out, recipe, config)
    except DataError as error:
        return None, f"a resample of its rows can't be learned from: {error}"
    effect = measure_model_effect(held_out.target, predictions, held_out.units, config.task)
    if not math.isfinite(effect.ratio):
        return None, f"{primary_metric(config.task).name} by {holdout.unit} is not defined on the holdout"
    sign = 1.0 if primary_metric(config.task).greater_is_better else -1.0
    noise = RetrainingNoise(
        values=tuple(sign * value for value in effect.values),
        standard_deviation=effect.standard_deviation * spread_of_more_rows(examples.train.num_rows),
        ratio=effect.ratio,
    )
    return noise, ""


def _predictions(
    examples: Examples, held_out: Holdout, recipe: Recipe, config: DatasetConfig
) -> list[Floats]:
    features = held_out.rows.select(list(config.features.columns))
    return [predict(features) for predict in refit(examples.train, examples.valid, recipe, config=config)]
