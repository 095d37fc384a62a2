"""What a verdict may say of performance, to be changed by ``model_copy`` where a test wants other figures."""

from __future__ import annotations

from pipelines.records import ConceptDrift, PerformanceEstimate

# Mature labels: the model lost, and it is no chance.
CONCEPT = ConceptDrift(
    metric="auc",
    value=0.6,
    reference_value=0.75,
    loss=0.15,
    p_value=0.0,
    n_days=1,
    n_rows=900,
    first_partition="2013-07-01",
    last_partition="2013-07-01",
    is_drifted=True,
    severity="critical",
)
# No labels yet: it is expected to have lost.
ESTIMATE = PerformanceEstimate(
    metric="auc",
    value=0.7,
    lower=0.68,
    upper=0.72,
    confidence=0.9,
    reference_value=0.75,
    expected_loss=0.05,
    is_worse=True,
    method="confidence",
)
