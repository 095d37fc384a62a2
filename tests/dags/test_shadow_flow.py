"""The shadow and the watch under Airflow: what is skipped, what is handed on, and to which night."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_world
import yaml
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from shadowed_nights import crown, day, pass_nights
from toy_world import DATASET, NIGHT

from pipelines.runtime import Runtime

WEAK, STRONG = "1", "2"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a world of two versions, of which the weak one is champion; the environment leads to it."""
    rules = {"shadow_nights": 2, "watch_nights": 5, "max_load_seconds": None, "max_load_megabytes": None}
    opened = toy_world.open_world(tmp_path, "rivals", promotion=rules)
    crown(opened, WEAK)
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(opened.params.model_dump(mode="json")))
    places = {"HOME": opened.settings.home, "PROJECT": opened.settings.project, "PARAMS": params}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))
    monkeypatch.setenv("HOLDFAST_DEVICE", "cpu")
    return opened


def promote_tasks(context_events: dict[str, Any]) -> Any:
    """Return a gate with a task behind it, and the events that started its run."""
    from airflow.sdk import DAG, BaseOperator

    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.promotion import GateOperator

    challenger = assets_of(DATASET).challenger
    with DAG("promote_toy", schedule=None):
        gate = GateOperator(task_id="gate", dataset=DATASET, challenger=challenger)
        gate >> BaseOperator(task_id="promote")
    return gate, {challenger: [SimpleNamespace(extra=context_events)]}


def test_a_challenger_goes_into_the_shadow_and_is_handed_on_once_its_nights_have_labels(
    world: Runtime, make_context: Any
) -> None:
    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.shadow import HandOnChallengerOperator

    gate, events = promote_tasks({"model_version": STRONG})
    context = make_context("promote_toy", night=NIGHT, triggering_asset_events=events)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        gate.execute(context)
    assert skipped.value.tasks == ["promote"]
    assert context["ti"].xcoms["return_value"] == {
        "model_version": STRONG,
        "is_passed": False,
        "nights_in_shadow": 0,
    }

    challenger = assets_of(DATASET).challenger
    hand_on = HandOnChallengerOperator(task_id="hand_on_challenger", dataset=DATASET, outlets=[challenger])
    pass_nights(world, 1, 2)
    with pytest.raises(AirflowSkipException, match="No challenger of toy waits in the shadow"):
        hand_on.execute(make_context("monitor_toy", night=day(2)))
    pass_nights(world, 3, 3)
    handing = make_context("monitor_toy", night=day(3))
    assert hand_on.execute(handing) == {"partition_key": NIGHT, "model_version": STRONG}
    event = handing["outlet_events"][challenger]
    assert (event.partition_keys, event.extra) == ({NIGHT}, {"model_version": STRONG})

    judged = gate.execute(make_context("promote_toy", night=NIGHT, triggering_asset_events=events))
    assert judged["is_passed"]
    with pytest.raises(AirflowSkipException):
        hand_on.execute(make_context("monitor_toy", night=day(3)))


def test_the_shadow_and_the_watch_are_skipped_where_there_is_nothing_to_do(
    world: Runtime, make_context: Any
) -> None:
    from holdfast_airflow.shadow import ShadowOperator, WatchOperator

    pass_nights(world, 1, 1)
    with pytest.raises(AirflowSkipException, match="No version of toy is in the champion's shadow"):
        ShadowOperator(task_id="shadow", dataset=DATASET).execute(make_context("score_toy", night=day(1)))
    with pytest.raises(AirflowSkipException, match="No promotion of toy is watched"):
        WatchOperator(task_id="watch", dataset=DATASET).execute(make_context("monitor_toy", night=day(1)))


def test_a_promotion_is_watched(world: Runtime, make_context: Any) -> None:
    from holdfast_airflow.shadow import ShadowOperator, WatchOperator

    crown(world, STRONG)
    pass_nights(world, 1, 2)
    scored = ShadowOperator(task_id="shadow", dataset=DATASET).execute(
        make_context("score_toy", night=day(2))
    )
    assert scored == {WEAK: 60}
    found = WatchOperator(task_id="watch", dataset=DATASET).execute(make_context("monitor_toy", night=day(2)))
    assert found is not None
    assert (found["verdict"], found["former_version"]) == ("watching", WEAK)
    assert not {"watched", "nights"} & set(found)
