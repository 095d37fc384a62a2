"""The two tasks that begin a night: what they validate and hand on, what they tell, what is tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trips
import yaml
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from holdfast_airflow.assets import assets_of
from holdfast_airflow.nights import MAX_EARLIER_NIGHTS, IngestOperator, ValidateOperator
from pipelines.records import ScoringRecord, ValidationRecord, partition_range, shift_partition
from pipelines.runtime import Runtime

NIGHT, NEXT = trips.DAY, shift_partition(trips.DAY, 1)
SUITE = {
    "expectations": [
        {"type": "expect_column_values_to_be_unique", "severity": "critical", "column": "row_id"},
        {
            "type": "expect_column_values_to_be_between",
            "severity": "critical",
            "column": "distance",
            "min_value": 0,
        },
    ]
}


class World:
    """The trips as Airflow's tasks open them: a project, its suite and its files in a temporary folder."""

    def __init__(self, root: Path, make_context: Any) -> None:
        self.sources = root / "home" / "sources" / "trips"
        self.make_context = make_context
        self.sources.mkdir(parents=True)
        (root / "expectations").mkdir()
        (root / "expectations" / "trips_raw.yaml").write_text(yaml.safe_dump(SUITE))
        (root / "params.yaml").write_text(yaml.safe_dump({"datasets": {"trips": trips.CONFIG}}))

    @property
    def runtime(self) -> Runtime:
        return Runtime.load()

    def deliver(self, name: str, *lines: str) -> None:
        (self.sources / name).write_text(trips.table(*lines))

    def ingest(self, night: str) -> Any:
        return IngestOperator(task_id="ingest", dataset="trips").execute(
            self.make_context("ingest_trips", night=night)
        )

    def validate(self, night: str) -> tuple[Any, set[str]]:
        """Return what the task gives, and the nights that it hands on."""
        asset = assets_of("trips").validated
        context = self.make_context("ingest_trips", night=night)
        operator = ValidateOperator(task_id="validate", dataset="trips", outlets=[asset])
        found = operator.execute(context)
        return found, context["outlet_events"][asset].partition_keys

    def take_in(self, night: str) -> tuple[Any, set[str]]:
        self.ingest(night)
        return self.validate(night)

    def verdict(self, night: str) -> ValidationRecord:
        found = self.runtime.ledger.latest(ValidationRecord, "trips", night)
        assert found is not None
        return found

    def score(self, night: str) -> None:
        """Put it on record that the present rows of a night were scored."""
        self.runtime.ledger.record(
            ScoringRecord(
                dataset="trips",
                partition_key=night,
                model_version="1",
                bundle_digest="b",
                validated_digest=str(self.verdict(night).validated_digest),
                features_digest="f",
                predictions_digest="p",
                n_rows=1,
                device="cpu",
            )
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_context: Any) -> World:
    places = {"HOME": tmp_path / "home", "PARAMS": tmp_path / "params.yaml", "PROJECT": tmp_path}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))
    made = World(tmp_path, make_context)
    made.deliver("1.csv", trips.line(1, NIGHT), trips.line(2, NIGHT))
    made.deliver("2.csv", trips.line(3, NEXT))
    return made


def test_a_plain_night_hands_on_itself(world: World) -> None:
    found, nights = world.take_in(NIGHT)
    assert nights == {NIGHT}
    assert (found["outcome"], found["n_published"], found["n_quarantined"]) == ("passed", 2, 0)
    assert found["restated"] == found["not_restated"] == found["rescored"] == []
    assert "expectations" not in found


def test_a_late_row_of_an_earlier_night_is_validated_and_handed_on_to_be_scored_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.take_in(NIGHT)
    world.score(NIGHT)
    world.deliver("late.csv", trips.line(9, NIGHT))
    landed = world.ingest(NEXT)
    found, nights = world.validate(NEXT)
    told = capsys.readouterr().out
    assert landed["restated"] == [NIGHT]
    assert found["restated"] == found["rescored"] == [NIGHT]
    assert nights == {NEXT, NIGHT}
    assert world.verdict(NIGHT).n_published == 3
    assert f"landed anew: {NIGHT}" in told
    assert f"scored again, since their rows have changed: {NIGHT}" in told


def test_an_earlier_night_that_was_never_scored_is_not_handed_on(world: World) -> None:
    world.take_in(NIGHT)
    world.deliver("late.csv", trips.line(9, NIGHT))
    found, nights = world.take_in(NEXT)
    assert found["restated"] == [NIGHT]
    assert nights == {NEXT}


def test_what_is_wrong_with_an_earlier_night_neither_stops_nor_hides_the_night(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.take_in(NIGHT)
    world.score(NIGHT)
    world.deliver("late.csv", trips.line(9, NIGHT, distance="-1"))
    found, nights = world.take_in(NEXT)
    told = capsys.readouterr().out
    assert nights == {NEXT}
    assert (found["outcome"], found["restated"], found["not_restated"]) == ("passed", [], [NIGHT])
    assert f"Of the earlier nights, {NIGHT} is not published anew" in told
    assert world.verdict(NIGHT).outcome == "refused"
    world.deliver("late.csv", trips.line(9, NIGHT, distance="1"))
    found, nights = world.take_in(NEXT)
    assert (found["restated"], nights) == ([NIGHT], {NEXT, NIGHT})


def test_a_bad_night_is_tried_once_and_the_earlier_ones_are_validated_all_the_same(world: World) -> None:
    world.take_in(NIGHT)
    world.deliver("late.csv", trips.line(9, NIGHT))
    world.deliver("2.csv", trips.line(3, NEXT, distance="-1"))
    world.ingest(NEXT)
    with pytest.raises(AirflowFailException, match=r"^Bad data, tried once.*trips 2013-03-05"):
        world.validate(NEXT)
    assert world.verdict(NEXT).outcome == "refused"
    assert world.verdict(NIGHT).n_published == 3


def test_a_source_that_can_not_be_read_is_tried_again(world: World) -> None:
    for path in world.sources.iterdir():
        path.unlink()
    with pytest.raises(AirflowException, match=r"^The source could not be read, .* tried again\.") as raised:
        world.ingest(NIGHT)
    assert not isinstance(raised.value, AirflowFailException)


def test_of_many_earlier_nights_the_newest_are_taken_and_the_rest_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator = ValidateOperator(task_id="validate", dataset="trips")
    nights = partition_range("2013-01-01", "2013-02-02")
    taken = operator._newest(nights, "wait for their validation")
    told = capsys.readouterr().out
    assert taken == nights[:1:-1]
    assert len(taken) == MAX_EARLIER_NIGHTS == 31
    assert (
        "33 earlier nights wait for their validation; left for the next run: 2013-01-02, 2013-01-01" in told
    )


def test_a_range_hands_on_its_last_published_day(world: World) -> None:
    asset = assets_of("trips").validated
    context = world.make_context("ingest_trips", form={"first": NIGHT, "last": NEXT})
    IngestOperator(task_id="ingest", dataset="trips").execute(context)
    operator = ValidateOperator(task_id="validate", dataset="trips", outlets=[asset])
    assert operator.execute(context)["n_published_partitions"] == 2
    assert context["outlet_events"][asset].partition_keys == {NEXT}
