"""Score a night of {dataset} with the champion.

**Starts** when a night is published, and again for the night of a promotion when the champion changes.
`score` is skipped, with the reason in its log, where there is no champion or the night is not published;
beside it, `request_first_training` asks for a first champion once labelled days are enough, and is skipped
otherwise. `score` runs on the queue `gpu`: on CUDA where there is one, else on the CPU; its log says which.
After it, `shadow` scores the same rows with the champion before, while a promotion is watched, and with
challengers in the champion's shadow; nobody is given these predictions, and it is skipped where there is no
such version.

**By hand:** start a run with the partition key of a published night (`2013-07-04`).

**When it fails:** the model's bytes or its golden rows may not be what the registry says; then nothing is
written. Go back with `rollback_{dataset}`, or mend the model store and clear `score`. Where only `shadow`
fails, the night has its predictions; mend the model store and clear it.

**Undo:** score the night again; its predictions are replaced as a whole.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.operators import RequestFirstTrainingOperator, ScoreOperator
from holdfast_airflow.retrainings import retraining_failed
from holdfast_airflow.shadow import ShadowOperator
from holdfast_airflow.wiring import GPU_QUEUE, dataset_dag, enabled_datasets

for dataset, config in enabled_datasets().items():
    assets = assets_of(dataset)
    either = PartitionedAssetTimetable(assets=assets.validated | assets.champion)
    with dataset_dag("score", dataset=dataset, config=config, doc=__doc__, schedule=either):
        scored = ScoreOperator(
            task_id="score", dataset=dataset, queue=GPU_QUEUE, outlets=[assets.predictions]
        )
        scored >> ShadowOperator(task_id="shadow", dataset=dataset, queue=GPU_QUEUE)
        # Beside, not after: behind a task that may be skipped, it would hide a failure of that task.
        RequestFirstTrainingOperator(
            task_id="request_first_training",
            dataset=dataset,
            on_failure_callback=retraining_failed,
            outlets=[assets.retrain],
        )
