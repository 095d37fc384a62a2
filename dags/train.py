"""Train a challenger for {dataset}.

**Starts** when a retraining is requested, or by hand. `train` runs snapshot, features, training and
evaluation through DVC in a workspace of its own; the same data, code and configuration give the model that
is there already. `register` gives it a version and the alias *challenger*, and `promote_{dataset}` takes
over.

**By hand:** fill in the form. `night` is the night as of which to train: only labels known then are used.
`first` limits the history; `reason` is kept with the model.

**When it fails:** the champion goes on scoring. The retraining is marked as failed, so that the next drift
can start another; or mend the cause and clear `train`.

**Undo:** a challenger does nothing until it is promoted.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.forms import train_form
from holdfast_airflow.operators import RegisterOperator, TrainOperator
from holdfast_airflow.wiring import ON_FAILURE_OF_RETRAINING, dataset_dag, enabled_datasets

for dataset, config in enabled_datasets().items():
    assets = assets_of(dataset)
    requested = PartitionedAssetTimetable(assets=assets.retrain)
    with dataset_dag(
        "train",
        dataset=dataset,
        config=config,
        doc=__doc__,
        schedule=requested,
        on_failure_callback=ON_FAILURE_OF_RETRAINING,
        params=train_form(),
    ):
        trained = TrainOperator(task_id="train", dataset=dataset)
        RegisterOperator(
            task_id="register",
            dataset=dataset,
            trained=trained.output,
            outlets=[assets.challenger],
        )
