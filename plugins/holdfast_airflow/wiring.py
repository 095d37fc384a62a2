"""What all Dags have in common: one of each kind for every dataset that is switched on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from holdfast_airflow.notifiers import tell_failure
from holdfast_airflow.retrainings import retraining_failed
from pipelines.config import DatasetConfig, load_params, load_settings
from pipelines.errors import ConfigError

GPU_QUEUE = "gpu"

# Runs by hand and events have no logical date, and a backfill ignores the start: it only has to be past.
_START = datetime(2000, 1, 1, tzinfo=UTC)

# Callbacks of a run, not of its tasks: Airflow calls a task's only where the task itself could still act,
# and not where its last try was killed.
ON_FAILURE = [tell_failure]
# For the Dags on a retraining's way: a run that fails for good must not hold up the next retraining.
ON_FAILURE_OF_RETRAINING = [retraining_failed, tell_failure]


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
    verb: str, *, dataset: str, config: DatasetConfig, doc: str | None, **dag_arguments: Any
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
    dag_arguments
        What this Dag has of its own, such as ``schedule`` and ``params``; wins over what all have.
    """
    text = (doc or "").replace("{dataset}", dataset)
    common: dict[str, Any] = {
        "dag_id": f"{verb}_{dataset}",
        "description": text.partition("\n")[0],
        "doc_md": text,
        "start_date": _START,
        "catchup": False,
        # Nights are worked off in their order.
        "max_active_runs": 1,
        "tags": [dataset, "holdfast"],
        "on_failure_callback": ON_FAILURE,
        "default_args": {
            "owner": config.owner,
            "retries": 2,
            "retry_delay": timedelta(seconds=10),
            "retry_exponential_backoff": 3.0,
            "max_retry_delay": timedelta(minutes=5),
            # A task that hangs must not hold up every night after it.
            "execution_timeout": timedelta(hours=6),
        },
    }
    return DAG(**common | dag_arguments)
