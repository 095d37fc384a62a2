"""Hold a challenger for {dataset} to the gates, and make it the champion if it earns it.

**Starts** when a challenger is registered. `gate` compares it with the champion on the same days, which
neither was trained on. With `promotion.shadow_nights` in `params.yaml` it first sends the challenger into
the champion's shadow and skips the rest; `monitor_{dataset}` hands it on again once those nights have
labels, which then have a gate of their own. If it is refused, the rest is skipped, the champion stays, and
the run succeeds: that is a decision, not a failure. With `promotion.approval: human` in `params.yaml`,
`approve` then waits for a person: *Required Actions* in Airflow's page shows the evidence. A rejection, or
no answer in time, leaves the champion. `promote` moves the champion by compare-and-set: if it has moved
since the gates were evaluated, nothing happens.

**By hand:** fill in the form to hold a challenger to the gates once more.

**When it fails:** the champion has not moved. Clear the task; a repeat is harmless.

**Undo:** `rollback_{dataset}` brings the champion before back in seconds.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.forms import promote_form
from holdfast_airflow.promotion import GateOperator, PromoteOperator
from holdfast_airflow.wiring import ON_FAILURE_OF_RETRAINING, dataset_dag, enabled_datasets

# A challenger that waits for approval must not hold up the next one; the ledger lets only one win.
_MAX_ACTIVE_RUNS = 8

for dataset, config in enabled_datasets().items():
    assets = assets_of(dataset)
    registered = PartitionedAssetTimetable(assets=assets.challenger)
    with dataset_dag(
        "promote",
        dataset=dataset,
        config=config,
        doc=__doc__,
        schedule=registered,
        on_failure_callback=ON_FAILURE_OF_RETRAINING,
        params=promote_form(),
        max_active_runs=_MAX_ACTIVE_RUNS,
    ):
        gate = GateOperator(
            task_id="gate",
            dataset=dataset,
            challenger=assets.challenger,
        )
        approve = None
        if config.promotion.approval == "human":
            from holdfast_airflow.approval import PromotionApprovalOperator

            approve = PromotionApprovalOperator(
                task_id="approve",
                dataset=dataset,
                gate_task_id=gate.task_id,
                timeout_hours=config.promotion.approval_timeout_hours,
            )
            gate >> approve
        PromoteOperator(
            task_id="promote",
            dataset=dataset,
            gated=gate.output,
            approval=approve and approve.output,
            outlets=[assets.champion],
        )
