"""Decide whether an episode of {dataset} is worth a training.

**Starts** when a night is monitored. `await_verdict` is skipped, with the reason in its log and in
`holdfast episodes show {dataset}`, where no open episode calls for a training, where it has had its one, or
where the cooldown, the budget or the breaker forbids one. While another retraining is under way it waits,
without holding a worker, and then decides anew. Where a training is to start, `request` hands it to
`train_{dataset}`.

The run is a hint to look; the ledger decides. A run that is lost, doubled or late changes nothing: the next
night makes up for it.

**By hand:** start a run with the partition key of a monitored night to have it decided again. To train
whatever the drift, use `train_{dataset}`. After three refused challengers the breaker is open, and stays so
until `holdfast retraining breaker close {dataset} --reason ...`.

**When it waits for long:** look at `train_{dataset}` and `promote_{dataset}`: something failed, or waits
for approval. A retraining that failed frees the way by itself; one whose request was lost is handed on
again, and one that is not heard of is given up after a day.

**Undo:** nothing to undo.
"""

from datetime import timedelta

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.retrainings import HandOnRetrainingOperator
from holdfast_airflow.sensors import DriftSensor
from holdfast_airflow.wiring import ON_FAILURE_OF_RETRAINING, dataset_dag, enabled_datasets

# Its challenger may wait in the champion's shadow, and for a person, before a retraining is over.
_PATIENCE_DAYS = 7

for dataset, config in enabled_datasets().items():
    assets = assets_of(dataset)
    monitored = PartitionedAssetTimetable(assets=assets.drift)
    with dataset_dag(
        "retrain",
        dataset=dataset,
        config=config,
        doc=__doc__,
        schedule=monitored,
        on_failure_callback=ON_FAILURE_OF_RETRAINING,
    ):
        patience = timedelta(days=_PATIENCE_DAYS + config.promotion.shadow_nights + config.maturity_days)
        patience += timedelta(hours=config.promotion.approval_timeout_hours)
        verdict = DriftSensor(task_id="await_verdict", dataset=dataset, timeout=patience.total_seconds())
        HandOnRetrainingOperator(
            task_id="request",
            dataset=dataset,
            verdict=verdict.output,
            outlets=[assets.retrain],
        )
