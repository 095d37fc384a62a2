"""Check a night of {dataset} for drift, and past predictions against the labels that came in.

**Starts** when a night is scored. `reconcile` measures the predictions of the day whose labels this night
brought. `monitor` compares the last nights with what the champion was trained on (data, predictions,
labels, performance), writes the verdict down and makes the night's page: see *Holdfast* in the menu.
`watch` compares a new champion with what the one before would have had on the same rows; where it is worse
beyond doubt, the one before is brought back and people are told. It is skipped where no promotion is watched.
With `promotion.shadow_nights` in `params.yaml`, `hand_on_challenger` gives a challenger whose nights in the
shadow have labels to `promote_{dataset}`.

**By hand:** start a run with the partition key of a scored night (`2013-07-04`).

**When it fails:** predictions and models are untouched; clear the task. A night without a verdict does not
count for or against drift.

**Undo:** nothing to undo; a repeat gives the same verdict, or a new one if the data has changed since. A
night that was scored again with another version gets a verdict for the record, which tells nobody. What
`watch` took back, `rollback_{dataset}` brings back: name the version.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.operators import MonitorOperator, ReconcileOperator
from holdfast_airflow.shadow import HandOnChallengerOperator, WatchOperator
from holdfast_airflow.wiring import dataset_dag, enabled_datasets

for dataset, config in enabled_datasets().items():
    assets = assets_of(dataset)
    scored = PartitionedAssetTimetable(assets=assets.predictions)
    with dataset_dag("monitor", dataset=dataset, config=config, doc=__doc__, schedule=scored):
        reconciled = ReconcileOperator(task_id="reconcile", dataset=dataset)
        monitored = MonitorOperator(task_id="monitor", dataset=dataset, outlets=[assets.drift])
        reconciled >> monitored
        # Beside, not after: what it compares needs neither of them.
        WatchOperator(task_id="watch", dataset=dataset)
        if config.promotion.shadow_nights:
            HandOnChallengerOperator(
                task_id="hand_on_challenger", dataset=dataset, outlets=[assets.challenger]
            )
