"""SHAP values of models whose true values are known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scored_rows

from pipelines.evaluation.holdout import Holdout
from pipelines.evaluation.importance import shap_importance
from pipelines.records import Importance


def _holdout(task: str) -> tuple[Holdout, pa.Table]:
    rows, config = scored_rows.rows_of(task), scored_rows.config_of(task)
    rows = rows.set_column(
        rows.column_names.index("kind"), "kind", pc.if_else(pc.equal(rows["kind"], "c"), None, rows["kind"])
    )
    predict = scored_rows.model_of(task)
    return scored_rows.holdout_of(rows, predict(rows), config), rows.slice(0, 500)


def _explain(task: str, predict=None, *, n_rows: int = 20, seed: int = 0) -> Importance:  # type: ignore[no-untyped-def]
    holdout, seen = _holdout(task)
    found, problem = shap_importance(
        holdout, seen, predict or scored_rows.model_of(task), n_rows=n_rows, seed=seed
    )
    assert found is not None
    assert problem == ""
    return found


def test_the_values_of_a_sum_are_its_parts() -> None:
    def additive(table: pa.Table) -> np.ndarray:  # type: ignore[type-arg]
        kinds = pc.fill_null(pc.equal(table["kind"], "a"), False).to_numpy(zero_copy_only=False)
        return 3.0 * table["x"].to_numpy() + 5.0 * kinds

    holdout, seen = _holdout("regression")

    found, _ = shap_importance(holdout, seen, additive, n_rows=20)

    assert found is not None
    values = {feature.column: feature.value for feature in found.features}
    explained = holdout.spread(20).rows["x"].to_numpy()
    background = seen["x"].to_numpy()[np.linspace(0, seen.num_rows - 1, found.n_background).astype(int)]
    assert values["x"] == pytest.approx(np.abs(3 * (explained - background.mean())).mean())
    assert values["z"] == values["site"] == pytest.approx(0.0, abs=1e-12)
    assert values["kind"] > 1
    assert [feature.column for feature in found.features][:2] == ["x", "kind"]
    assert sum(feature.share for feature in found.features) == pytest.approx(1.0)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_classes_are_explained_in_probabilities(task: str) -> None:
    found = _explain(task)

    assert found.features[0].column == "x"
    assert found.features[0].share == pytest.approx(1.0)
    assert found.unit.startswith("probability")
    assert found.n_rows == 20


def test_a_seed_gives_the_same_values_and_leaves_the_common_source_of_chance_alone() -> None:
    np.random.seed(5)
    wanted = np.random.random()
    np.random.seed(5)

    assert _explain("binary", seed=3) == _explain("binary", seed=3)
    assert np.random.random() == wanted


def test_nothing_is_explained_where_nobody_asks_for_it() -> None:
    holdout, seen = _holdout("binary")

    found, problem = shap_importance(holdout, seen, scored_rows.model_of("binary"), n_rows=0)

    assert found is None
    assert "explained_rows" in problem


def test_so_many_features_that_none_can_be_walked_through_are_told() -> None:
    names = [f"n{number}" for number in range(12_000)]
    features = {"sql": "rows.sql", "numeric": names, "categorical": []}
    config = scored_rows.config_of("binary").model_copy(
        update={"features": scored_rows.config_of("binary", features=features).features}
    )
    rows = pa.table({"y": [0.0, 1.0], **{name: [0.0, 1.0] for name in names}})
    holdout = Holdout(rows, np.array([0.2, 0.8]), np.array([1, 2]), "days", config)

    found, problem = shap_importance(holdout, rows, lambda table: np.zeros(table.num_rows), n_rows=10)

    assert found is None
    assert "12000 features are too many" in problem
