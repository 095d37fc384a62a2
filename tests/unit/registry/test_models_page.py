"""The page of a dataset's models tells which of them a search found."""

from __future__ import annotations

import pytest

from pipelines.pages.places import Places
from pipelines.records import ChainReport, TrainedModel, TrainingRecord
from pipelines.registry.models_page import ModelsFacts, models_page


def _page(**metrics: float) -> str:
    trained = TrainedModel(
        dataset="toy",
        partition_key="2013-01-21",
        training_key="k",
        mlflow_run_id="r",
        bundle_digest="b",
        candidate="stumps",
        first_partition="2013-01-01",
        last_partition="2013-01-20",
        holdout_first="2013-01-16",
        snapshot_digest="s",
        n_partitions=20,
        n_rows=1_200,
        code_commit="c0ffee",
        is_dirty=False,
        config_digest="c",
        environment_digest="e",
        metrics=metrics,
        reason="drift of x",
    )
    record = TrainingRecord(dataset="toy", partition_key="2013-01-21", model_version="1", trained=trained)
    chain = ChainReport(dataset="toy", n_moves=0, head=None, anchor=None, breaks=())
    facts = ModelsFacts("toy", "", "auc", [record], {}, [], chain)
    return models_page(facts, Places(depth=1))


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        pytest.param({"auc": 0.7}, ">stumps</td>", id="no-search"),
        pytest.param(
            {"auc": 0.7, "search_n_trials": 12.0}, ">stumps, the best of 12 trials</td>", id="search"
        ),
    ],
)
def test_a_version_that_a_search_found_says_of_how_many_trials(metrics: dict[str, float], told: str) -> None:
    assert told in _page(**metrics)
