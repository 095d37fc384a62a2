"""Which days a training takes, and what names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipelines.config import DatasetConfig, TrainingConfig
from pipelines.errors import NotReadyError
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot

Publish = Callable[..., dict[str, str]]
JANUARY = partition_range("2013-01-01", "2013-01-12")


def test_all_published_days_with_labels_are_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    digests = publish(JANUARY)

    found = plan()

    assert found.training_days == JANUARY
    assert (found.first_partition, found.last_partition) == ("2013-01-01", "2013-01-12")
    assert {day.partition_key: day.events_digest for day in found.days} == digests
    assert {day.n_rows for day in found.days} == {2}


def test_nothing_after_the_last_day_is_taken_even_if_it_is_there(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)

    assert plan("2013-01-09").training_days == partition_range("2013-01-01", "2013-01-09")


def test_days_before_the_first_are_history_as_far_as_features_look_back(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)

    found = plan("2013-01-12", "2013-01-09")

    assert found.training_days == partition_range("2013-01-09", "2013-01-12")
    assert [day.partition_key for day in found.days] == JANUARY  # eight days back, to the first


def test_a_refused_day_is_not_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY)
    publish(["2013-01-05"], outcome="refused")

    assert plan().training_days == [key for key in JANUARY if key != "2013-01-05"]


def test_a_day_with_warnings_is_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY, outcome="warned")

    assert plan().training_days == JANUARY


def test_a_day_without_labels_is_history_only(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY[:-1])
    publish(JANUARY[-1:], labelled=False)

    found = plan()

    assert found.training_days == JANUARY[:-1]
    assert found.days[-1].labels_digest is None


def test_a_day_whose_rows_are_not_those_that_were_validated_is_left_out_by_name(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)
    publish(["2013-01-05"], distance=99.0, record=False)

    found = plan()

    assert "2013-01-05" not in [day.partition_key for day in found.days]
    assert found.left_out == ("2013-01-05",)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"last": "2013-01-11"}, id="another-last-day"),
        pytest.param({"first": "2013-01-03"}, id="the-same-rows-in-other-roles"),
    ],
)
def test_another_choice_of_days_is_another_snapshot(
    publish: Publish, plan: Callable[..., Snapshot], change: dict[str, Any]
) -> None:
    publish(JANUARY)

    assert plan().digest == plan().digest
    assert plan(**change).digest != plan().digest


def test_another_row_is_another_snapshot(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY)
    before = plan().digest
    publish(["2013-01-05"], distance=2.0)

    assert plan().digest != before


def test_too_few_days_say_how_many_there_are_and_what_to_do(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY[:3])
    publish(["2013-01-03"], distance=5.0, record=False)

    with pytest.raises(
        NotReadyError, match=r"has 2 published days .* needs 4\. .*2 more.*validate them again"
    ):
        plan()


def test_no_days_at_all_say_so(plan: Callable[..., Snapshot]) -> None:
    with pytest.raises(NotReadyError, match="has 0 published days"):
        plan()


def test_a_holdout_needs_days_beside_it(publish: Publish, runtime: Runtime, config: DatasetConfig) -> None:
    publish(JANUARY)
    greedy = config.model_copy(update={"training": TrainingConfig(min_days=2, holdout_days=11)})

    with pytest.raises(NotReadyError, match="needs 13"):
        plan_snapshot(
            "flights", "2013-01-12", first=None, config=greedy, lake=runtime.lake, ledger=runtime.ledger
        )


def test_a_split_by_rows_needs_one_day(publish: Publish, runtime: Runtime, config: DatasetConfig) -> None:
    publish(JANUARY[:1])
    by_rows = config.model_copy(update={"training": TrainingConfig(split="rows")})

    found = plan_snapshot(
        "flights", JANUARY[0], first=None, config=by_rows, lake=runtime.lake, ledger=runtime.ledger
    )

    assert found.training_days == JANUARY[:1]
