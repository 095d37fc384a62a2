"""The one place that says which night a run works on, and hands that night on to the next Dag.

A night is Airflow's partition key. A scheduled run, a backfill and an asset event carry it; a run
that a person starts may carry it too, or says it in its form. It never comes from the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, Context

from holdfast_airflow.forms import answer
from pipelines.errors import ConfigError
from pipelines.records import partition_date, partition_range

_MAX_NIGHTS = 366


def night_of(context: Context, *, field: str = "night") -> str:
    """Return the partition key that a run works on.

    Parameters
    ----------
    context : Context
        The task's context.
    field : str
        The field of the form that says it, where the run carries no partition key.

    Raises
    ------
    ConfigError
        If neither says it, if they say different nights, or if it is no date.
    """
    carried, asked = context["dag_run"].partition_key, answer(context["params"], field)
    if carried is not None and asked is not None and carried != asked:
        raise ConfigError(
            f"The run carries the partition key {carried}, but its form says {asked} (`{field}`): "
            "give one of them."
        )
    night = carried or asked
    if night is None:
        form = f", or fill in `{field}` in the form" if field in context["params"] else ""
        raise ConfigError(
            f"No night is given: start {context['dag_run'].dag_id} with a partition key (YYYY-MM-DD){form}."
        )
    partition_date(night)
    return night


def days_of(context: Context) -> tuple[str, str]:
    """Return the first and last day that an ingestion works on; the same one for a single night.

    Raises
    ------
    ConfigError
        As :func:`night_of`; also if a last day comes without a first one, or before it.
    """
    last = answer(context["params"], "last")
    if last is None:
        night = night_of(context, field="first")
        return night, night
    first = answer(context["params"], "first")
    if first is None:
        raise ConfigError(f"`last` is {last}, but `first` is empty: give both ends of the range.")
    if context["dag_run"].partition_key is not None:
        raise ConfigError("Give either a partition key or a range (`first`, `last`), not both.")
    partition_range(first, last)
    return first, last


def nights_to_rescore(context: Context) -> list[str]:
    """Return the nights that a form asks to have scored again; none where it asks for none.

    Raises
    ------
    ConfigError
        If a last night comes without a first one, before it, or more than a year after it.
    """
    first, last = (answer(context["params"], field) for field in ("rescore", "rescore_last"))
    if first is None:
        if last is not None:
            raise ConfigError(
                f"`rescore_last` is {last}, but `rescore` is empty: give both ends of the range."
            )
        return []
    nights = partition_range(first, last or first)
    if len(nights) > _MAX_NIGHTS:
        raise ConfigError(
            f"{first} to {last} are {len(nights)} nights, each a run of its own: ask for {_MAX_NIGHTS} at "
            "most, or use `holdfast rescore`."
        )
    return nights


def hand_on(
    context: Context, assets: list[Asset], nights: Sequence[str], extra: dict[str, Any] | None = None
) -> None:
    """Make a task's asset events carry nights, however the run itself was started.

    A task that succeeds emits one event an outlet and night. Naming its partitions replaces the run's
    own key, so no event is doubled, and a run without a key still moves the chain on.
    """
    for asset in assets:
        event = context["outlet_events"][asset]
        event.add_partitions(list(nights))
        event.extra.update(extra or {})
