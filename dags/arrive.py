"""Take in a night of {dataset} as soon as another system says that its data has arrived.

**Starts** when the asset `{dataset}/arrived` (`holdfast://{dataset}/arrived`) gets an event that carries the
night as its partition key: from a task of another Dag that has it as an outlet, or by Airflow's REST API,
`POST /api/v2/assets/events` with `{"asset_id": ..., "partition_key": "2013-07-04"}`. The tasks are those of
`ingest_{dataset}`, and so is what they do: however a night starts, and however often, it gives the same
rows.

**By hand:** use `ingest_{dataset}`; or start a run here with a partition key (`2013-07-04`).

**When it fails:** as `ingest_{dataset}`: *bad data* was tried once, and the night's page (*Holdfast* in the
menu) says what is in quarantine; a *source* that could not be read was tried three times.

**Undo:** run the night again; a partition is replaced as a whole, or not at all.
"""

from airflow.sdk import PartitionedAssetTimetable

from holdfast_airflow.assets import assets_of
from holdfast_airflow.nights import take_in
from holdfast_airflow.wiring import dataset_dag, enabled_datasets

for dataset, config in enabled_datasets().items():
    # A Dag of its own: Airflow's timetables can't yet have both a clock's partitions and an asset's.
    arrived = PartitionedAssetTimetable(assets=assets_of(dataset).arrived)
    with dataset_dag("arrive", dataset=dataset, config=config, doc=__doc__, schedule=arrived):
        take_in(dataset)
