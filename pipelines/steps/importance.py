"""What each feature matters to a model version: worked out once, and kept beside its thresholds."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from pipelines.errors import ConfigError, EngineError, IntegrityError
from pipelines.monitoring.consequence.importance import permutation_importance
from pipelines.monitoring.reference import Reference
from pipelines.records import digest_of
from pipelines.runtime import Runtime
from pipelines.scoring.outcome import predict
from pipelines.scoring.scorer import Scorer
from pipelines.storage.whole_files import write_atomically

_log = logging.getLogger(__name__)
# Moves when the arithmetic changes, so that no figure outlives it.
_VERSION = 1


def importances(
    dataset: str, model_version: str, reference: Reference, *, runtime: Runtime
) -> Mapping[str, float]:
    """Return the share of a version's skill that rests on each feature; it adds up to 1.

    The model is run here for the first night that it is judged; later nights read what was kept. A model that
    can't be run leaves the verdict without ranks, and not the night without a verdict.

    Returns
    -------
    mapping of str to float
        By feature; empty where it is not known.
    """
    config = runtime.dataset(dataset)
    task = [config.task, config.target, config.features.columns]
    identity = digest_of([_VERSION, model_version, reference.digest, *task])
    kept = (
        runtime.settings.home / "calibration" / f"importance-{dataset}-{model_version}-{identity[:16]}.json"
    )
    if kept.is_file():
        found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    try:
        bundle = runtime.registry.bundle(dataset, model_version)
        with Scorer.open(bundle, runtime.settings.device) as scorer:
            found = permutation_importance(
                lambda table: predict(scorer, table, config), reference.holdout, config
            )
    except (ConfigError, EngineError, IntegrityError) as error:
        _log.warning("What the columns matter to %s v%s is not known: %s", dataset, model_version, error)
        return {}
    write_atomically(kept, json.dumps(found, indent=1, sort_keys=True))
    return found
