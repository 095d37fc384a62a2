"""A dataset's nights, told from the lake to the decision: what drifts, what it costs, what is done.

Everything is the project's own, on a table that it has not seen: features, scoring by the champion's
bundle, labels a day late, the verdict with its pages, the episode, the decision about a retraining.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import story_world
from story_world import CALM, DATASET, World

from pipelines.records import DriftRecord, EstimateScore, RetrainingVerdict, partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.monitor import monitor
from pipelines.steps.reconcile import reconcile
from pipelines.steps.retrain import decide_retraining
from pipelines.steps.score import score

_CALM_NIGHTS = partition_range("2013-01-21", "2013-01-27")
_CHANGED = "2013-01-28"
_OTHER_FEATURES = World(z=1.5, south=0.8)
# The model's AUC of about 0.82 falls to about 0.57.
_LOST_SKILL = World(skill=0.25)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Return a champion and a calm week that it has scored; only the last of its nights are judged."""
    runtime = story_world.open_story(tmp_path)
    for night in _CALM_NIGHTS[:-2]:
        story_world.land(runtime, night)
        score(DATASET, night, runtime=runtime)
        reconcile(DATASET, night, runtime=runtime)
    for night in _CALM_NIGHTS[-2:]:
        drift, verdict = _live(runtime, night)
        assert (drift.action, drift.is_page, verdict.verdict) == ("none", False, "calm"), drift.reasons
    return runtime


def _live(
    runtime: Runtime, night: str, world: World = CALM, *, yesterday: World = CALM
) -> tuple[DriftRecord, RetrainingVerdict]:
    """Go through a night as the Dags do; return what it found, and what is done about it."""
    story_world.land(runtime, night, world, yesterday=yesterday)
    score(DATASET, night, runtime=runtime)
    reconcile(DATASET, night, runtime=runtime)
    return monitor(DATASET, night, runtime=runtime), decide_retraining(DATASET, night, runtime=runtime)


def test_features_that_drift_without_a_loss_are_put_on_record_and_never_retrain(runtime: Runtime) -> None:
    verdicts, actions = [], []
    for night in partition_range(_CHANGED, shift_partition(_CHANGED, 5)):
        drift, verdict = _live(runtime, night, _OTHER_FEATURES, yesterday=_OTHER_FEATURES)
        assert not drift.is_page, drift.reasons
        assert drift.concept is not None
        assert not drift.concept.is_drifted
        verdicts.append(verdict.verdict)
        actions.append(drift.action)
    # The drift is real, is seen, and is remembered as such.
    assert actions[-1] == "record"
    assert {column.column for column in drift.columns if column.is_drifted} >= {"z", "site"}
    assert "go" not in verdicts
    assert runtime.ledger.retrainings(DATASET) == []
    assert runtime.ledger.episodes.current(DATASET).action == "record"


def test_lost_skill_is_retrained_within_three_nights(runtime: Runtime) -> None:
    verdicts = []
    for n, night in enumerate(partition_range(_CHANGED, shift_partition(_CHANGED, 3))):
        # The features stay as they were: only the labels, a day late, tell that the world is another.
        yesterday = CALM if n == 0 else _LOST_SKILL
        drift, verdict = _live(runtime, night, _LOST_SKILL, yesterday=yesterday)
        verdicts.append(verdict.verdict)
        if verdict.verdict == "go":
            break
    # The night of the drop itself has no labels of it; the third one after has those of three days.
    assert "go" in verdicts
    assert drift.kinds == ("concept",)
    assert drift.concept is not None
    assert drift.concept.loss > 0.15
    (retraining,) = runtime.ledger.retrainings(DATASET)
    assert retraining.status == "requested"
    # The next nights ask for no second one.
    later, verdict = _live(runtime, shift_partition(night, 1), _LOST_SKILL, yesterday=_LOST_SKILL)
    assert later.action == "retrain"
    assert len(runtime.ledger.retrainings(DATASET)) == 1
    assert runtime.ledger.history(EstimateScore, DATASET)
