"""Groups on which the model is worse are found, and luck is not taken for one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scored_rows

from pipelines.evaluation.holdout import Holdout
from pipelines.evaluation.slices import asked_slices, discovered_slices, with_columns

TASKS = ["binary", "multiclass", "regression"]


def _holdout(task: str, *, spoilt: bool = False, **shape: int) -> Holdout:
    """Return a scored holdout; where ``spoilt``, what happens to kind ``b`` of the north is turned round."""
    rows = scored_rows.rows_of(task, **shape)
    guess = scored_rows.model_of(task)(rows)
    if spoilt:
        bad = pc.and_(pc.equal(rows["kind"], "b"), pc.equal(rows["site"], "north")).to_numpy()
        turned = {
            "binary": lambda: 1 - guess,
            "multiclass": lambda: guess[:, ::-1],
            "regression": lambda: -guess,
        }
        guess = np.where(bad[:, None] if task == "multiclass" else bad, turned[task](), guess)
    return scored_rows.holdout_of(rows, guess, scored_rows.config_of(task))


@pytest.mark.parametrize("task", TASKS)
def test_the_cross_of_two_columns_on_which_a_model_fails_is_found_first(task: str) -> None:
    found, n_looked_at = discovered_slices(_holdout(task, spoilt=True))

    assert found[0].where == {"kind": "b", "site": "north"}
    assert found[0].is_worse
    assert found[0].kind == "discovered"
    assert found[0].excess_loss.lower is not None
    assert found[0].excess_loss.lower > 0
    assert n_looked_at > 20


def test_hardly_ever_a_group_of_a_calm_holdout_is_called_worse() -> None:
    """The loss of these rows depends on nothing but luck, that of their days included."""
    n_false = 0
    for seed in range(60):
        rows = scored_rows.rows_of("regression", n_days=14, rows_a_day=60, seed=seed)
        found, _ = discovered_slices(
            scored_rows.holdout_of(
                rows, scored_rows.model_of("regression")(rows), scored_rows.config_of("regression")
            )
        )
        n_false += any(group.is_worse for group in found)

    assert n_false <= 7  # 5 % are 3


def test_declared_groups_are_all_told_with_what_was_predicted_and_what_happened() -> None:
    holdout = _holdout("binary")

    found = asked_slices(holdout, ["kind", "x", "nowhere"], "declared")

    kinds = [group for group in found if "kind" in group.where]
    assert {group.where["kind"] for group in kinds} == {"a", "b", "c"}
    assert sum(group.n_rows for group in kinds) == holdout.rows.num_rows
    assert len([group for group in found if "x" in group.where]) == 4
    assert not [group for group in found if "nowhere" in group.where]
    highest = next(group for group in found if group.where.get("x", "").startswith("from 0.6"))
    assert highest.mean_target == pytest.approx(highest.mean_prediction, abs=0.1)
    assert highest.metric.value is not None


def test_the_excess_of_a_group_is_its_mean_loss_over_that_of_the_others() -> None:
    holdout = _holdout("regression")
    is_a = np.asarray(pc.equal(holdout.rows["kind"], "a").to_numpy())

    (found,) = [group for group in asked_slices(holdout, ["kind"], "declared") if group.where["kind"] == "a"]

    assert found.excess_loss.value == pytest.approx(
        holdout.losses[is_a].mean() - holdout.losses[~is_a].mean()
    )


def test_groups_of_one_day_are_measured_but_not_judged() -> None:
    found = asked_slices(_holdout("binary", n_days=1, rows_a_day=300), ["kind"], "declared")

    assert len(found) == 3
    assert {group.p_value for group in found} == {None}
    assert not any(group.is_worse for group in found)


def test_too_few_rows_have_no_groups() -> None:
    assert discovered_slices(_holdout("binary", n_days=3, rows_a_day=5)) == ((), 0)


def test_columns_of_another_table_come_by_key() -> None:
    rows = pa.table({"row_id": ["1", "2", "3"], "x": [1, 2, 3]})
    other = pa.table({"row_id": ["3", "1"], "x": [30, 10], "place": ["c", "a"]})

    joined = with_columns(rows, other, ["x", "place", "nowhere"], key="row_id")

    assert joined.to_pydict() == {"row_id": ["1", "2", "3"], "x": [1, 2, 3], "place": ["a", None, "c"]}
