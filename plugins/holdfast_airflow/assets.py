"""The assets that tie one dataset's Dags together; each event carries the night as its partition key."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import Asset

GROUP = "holdfast"


@dataclass(frozen=True)
class DatasetAssets:
    """The seven assets of one dataset, named ``<dataset>/<asset>``; others emit ``arrived``, we the rest."""

    arrived: Asset
    validated: Asset
    predictions: Asset
    drift: Asset
    retrain: Asset
    challenger: Asset
    champion: Asset


def assets_of(dataset: str) -> DatasetAssets:
    """Return the assets of a dataset; equal ones at every call, in whichever Dag file."""

    def asset(name: str) -> Asset:
        return Asset(name=f"{dataset}/{name}", uri=f"holdfast://{dataset}/{name}", group=GROUP)

    return DatasetAssets(
        arrived=asset("arrived"),
        validated=asset("validated"),
        predictions=asset("predictions"),
        drift=asset("drift"),
        retrain=asset("retrain"),
        challenger=asset("challenger"),
        champion=asset("champion"),
    )
