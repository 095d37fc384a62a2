"""Decide whether a night's drift of {dataset} is worth a training.

**Starts** when a night is monitored. `await_verdict` is skipped, with the reason in its log, where there is
no confirmed drift, or where the cooldown or the budget forbids a training. While another retraining is
under way it waits, without holding a worker, and then decides anew. Where a training is to start, `request`
hands it to `train_{dataset}`.

**By hand:** start a run with the partition key of a monitored night to have it decided again; a night that
was decided keeps its decision. To train whatever the drift, use `train_{dataset}`.

**When it waits for long:** look at `train_{dataset}` and `promote_{dataset}`: something failed, or waits
for approval. A retraining that failed frees the way by itself; one that was lost is given up after a day.

**Undo:** nothing to undo.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.operators import RequestRetrainingOperator
from holdfast_airflow.sensors import DriftSensor
from holdfast_airflow.wiring import ON_FAILURE_OF_RETRAINING, dataset_dag, enabled_datasets

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
        verdict = DriftSensor(task_id="await_verdict", dataset=dataset)
        request = RequestRetrainingOperator(
            task_id="request",
            dataset=dataset,
            outlets=[assets.retrain],
        )
        verdict >> request
