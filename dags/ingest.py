"""Take in a night of {dataset}, hold it to its expectations, and publish what is good.

**Starts** every night for the day before; by a backfill; or by hand. (`arrive_{dataset}` does the same when
another system says that a night's data has arrived.) However it starts, the same night gives the same rows.
`ingest` lands the night's rows, and the labels that arrive late for an earlier day, in the lake; earlier
nights that late rows or corrections have changed are landed anew. `validate` holds the night, and those, to
the suite in `expectations/`: good rows are published, bad ones go to quarantine with their reasons. If a
critical expectation does not hold, the task fails at once and nothing of the night is published. An earlier
night that fails does not stop this one: the log tells, and the next night tries it again. What is published
anew and had been scored before is handed on to be scored again.

**By hand:** start a run with a partition key (`2013-07-04`), or fill in `first` for one day, `first` and
`last` for a range. A range is done in one go and hands on its last published day only, so that loading
history scores nothing but that day. `airflow backfill create` makes a run a night, and each is scored. Its
`--to-date` is a moment: write `2013-07-04T23:59:59`, or the last night is left out.

**When it fails:** the log's last message says which it was. *Bad data* was tried once: a retry reads the
same. The night's page (*Holdfast* in the menu) shows what is in quarantine, by which rules, and the commands
that release or repair rows; or mend the source or the suite. Then start the night again, or clear `ingest`;
other nights go on meanwhile. A *source* that could not be read was tried three times, longer and longer
apart: clear `ingest` when it is back.

**Undo:** run the night again; a partition is replaced as a whole, or not at all.
"""

from datetime import timedelta

from airflow.sdk import CronPartitionTimetable

from holdfast_airflow.forms import ingest_form
from holdfast_airflow.nights import take_in
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
        take_in(dataset)
