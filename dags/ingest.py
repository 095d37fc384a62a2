"""Take in a night of {dataset}, hold it to its expectations, and publish what is good.

**Starts** every night for the day before; by a backfill; or by hand. `ingest` lands the night's rows, and
the labels that arrive late for an earlier day, in the lake. `validate` holds the rows to the suite in
`expectations/`: good rows are published, bad ones go to quarantine with their reasons. If a critical
expectation does not hold, the task fails at once and nothing of the night is published.

**By hand:** start a run with a partition key (`2013-07-04`), or fill in `first` for one day, `first` and
`last` for a range. A range is done in one go and hands on its last published day only, so that loading
history scores nothing but that day. `airflow backfill create` makes a run a night, and each is scored. Its
`--to-date` is a moment: write `2013-07-04T23:59:59`, or the last night is left out.

**When it fails:** the log's last message says what and why. If `validate` refused the night, mend the
source or the suite and clear `ingest`; other nights go on meanwhile. A source that could not be read was
tried three times: clear `ingest` when it is back.

**Undo:** run the night again; a partition is replaced as a whole, or not at all.
"""

from datetime import timedelta

from airflow.sdk import CronPartitionTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.forms import ingest_form
from holdfast_airflow.operators import IngestOperator, ValidateOperator
from holdfast_airflow.wiring import dataset_dag, enabled_datasets
from pipelines.records import PARTITION_FORMAT

for dataset, config in enabled_datasets().items():
    nightly = CronPartitionTimetable(
        config.schedule,
        timezone="UTC",
        run_offset=-1,
        key_format=PARTITION_FORMAT,
        # The first night is the next one; False would mean "also one that began up to 2.4 hours ago".
        run_immediately=timedelta(0),
    )
    with dataset_dag(
        "ingest", dataset=dataset, config=config, doc=__doc__, schedule=nightly, params=ingest_form()
    ):
        landed = IngestOperator(task_id="ingest", dataset=dataset)
        validated = ValidateOperator(
            task_id="validate", dataset=dataset, outlets=[assets_of(dataset).validated]
        )
        landed >> validated
