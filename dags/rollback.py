"""Bring an earlier champion of {dataset} back.

**Starts** by hand only. `rollback` moves the champion to the one before, or to the `model_version` that you
name, and writes down who asked and why. Nothing is trained, gated or approved: it takes seconds.

**By hand:** give the `reason`. Name a night in `rescore`, or a range with `rescore_last`, to have their
predictions made again by that version, each night in a run of `score_{dataset}`; the predictions in their
place so far are kept, marked with who asked and why. `monitor_{dataset}` then judges each of them again, for
the record: a night of the past opens no episode and asks for no retraining. Otherwise the version scores
from the next night on.

**When it fails:** its message says which versions can be gone back to.

**Undo:** run it again, and name the version that was champion before.
"""

from holdfast_airflow.assets import assets_of
from holdfast_airflow.forms import rollback_form
from holdfast_airflow.promotion import RescoreOperator, RollbackOperator
from holdfast_airflow.wiring import dataset_dag, enabled_datasets

for dataset, config in enabled_datasets().items():
    with dataset_dag(
        "rollback", dataset=dataset, config=config, doc=__doc__, schedule=None, params=rollback_form()
    ):
        moved = RollbackOperator(task_id="rollback", dataset=dataset)
        again = RescoreOperator(task_id="rescore", outlets=[assets_of(dataset).champion])
        moved >> again
