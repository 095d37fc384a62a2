"""The gates between a challenger and the champion's place.

Each is a pure function of what was measured. All are evaluated and shown, also after one fails; a
comparison with ``nan`` is never passed.
"""

from pipelines.registry.gates.comparison import (
    Comparison,
    beats_champion,
    no_slice_worse,
    required_gain,
    share_of_risk,
)
from pipelines.registry.gates.data import (
    SkewFound,
    data_validated,
    labels_as_learned,
    labels_not_flipped,
    no_look_ahead,
    no_training_scoring_skew,
)
from pipelines.registry.gates.model import (
    CleanLoad,
    beats_naive_baseline,
    calibrated,
    fairness_gap,
    golden_rows,
    load_limits,
    loads_in_clean_process,
)
from pipelines.registry.gates.standing import challenger_is_not_champion, holdout_reuse, not_rolled_back

__all__ = [
    "CleanLoad",
    "Comparison",
    "SkewFound",
    "beats_champion",
    "beats_naive_baseline",
    "calibrated",
    "challenger_is_not_champion",
    "data_validated",
    "fairness_gap",
    "golden_rows",
    "holdout_reuse",
    "labels_as_learned",
    "labels_not_flipped",
    "load_limits",
    "loads_in_clean_process",
    "no_look_ahead",
    "no_slice_worse",
    "no_training_scoring_skew",
    "not_rolled_back",
    "required_gain",
    "share_of_risk",
]
