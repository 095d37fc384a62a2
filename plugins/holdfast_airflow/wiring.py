"""What all Dags have in common: one of each kind for every dataset that is switched on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Context, Param

from holdfast_airflow.notifiers import tell_failure
from holdfast_airflow.retrainings import retraining_failed
from pipelines.config import DatasetConfig, load_params, load_settings
from pipelines.errors import ConfigError

GPU_QUEUE = "gpu"

# Runs by hand and events have no logical date, and a backfill ignores the start: it only has to be past.
_START = datetime(2000, 1, 1, tzinfo=UTC)

_Callbacks = list[Callable[[Context], None]]
# For the tasks on a retraining's way: one that fails for good must not hold up the next retraining.
ENDS_RETRAINING: _Callbacks = [retraining_failed, tell_failure]


def enabled_datasets() -> dict[str, DatasetConfig]:
    """Return the datasets that get Dags.

    Raises
    ------
    ConfigError
        If ``params.yaml`` or the environment is wrong: the sentence alone, as Airflow's page shows it.
    """
    try:
        return load_params(load_settings().params).enabled
    except ConfigError as error:
        raise ConfigError(str(error)) from None


def dataset_dag(
    verb: str,
    dataset: str,
    *,
    config: DatasetConfig,
    doc: str | None,
    schedule: Any,
    params: Mapping[str, Param] | None = None,
    max_active_runs: int = 1,
) -> DAG:
    """Return the Dag ``<verb>_<dataset>``.

    Parameters
    ----------
    verb : str
        What the Dag does.
    dataset : str
        A dataset of ``params.yaml``.
    config : DatasetConfig
        Its configuration.
    doc : str
        Markdown for whoever looks at it in trouble; ``{dataset}`` stands for the name, and the first
        line is the summary in lists.
    schedule
        A timetable, or None for a Dag that only a person starts.
    params : mapping, optional
        The form.
    max_active_runs : int
        One by default: nights are worked off in their order.
    """
    text = (doc or "").replace("{dataset}", dataset)
    return DAG(
        dag_id=f"{verb}_{dataset}",
        description=text.partition("\n")[0],
        doc_md=text,
        schedule=schedule,
        start_date=_START,
        catchup=False,
        max_active_runs=max_active_runs,
        params=dict(params or {}),
        tags=[dataset, "holdfast"],
        default_args={
            "owner": config.owner,
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": 3.0,
            "max_retry_delay": timedelta(minutes=5),
            # A task that hangs must not hold up every night after it.
            "execution_timeout": timedelta(hours=6),
            "on_failure_callback": [tell_failure],
        },
    )
