"""Trees that would lead the scorer astray are refused before it sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sample_models

from pipelines.bundle.description import MAX_LEAVES, BundleDescription
from pipelines.bundle.tensors import check_tensors, subtree_sizes
from pipelines.errors import IntegrityError

Tensors = dict[str, np.ndarray[Any, Any]]


@pytest.fixture
def trees() -> tuple[Tensors, BundleDescription]:
    candidate = sample_models.fitted("hist_gradient_boosting", "binary")
    return {name: tensor.copy() for name, tensor in candidate.tensors.items()}, candidate.description


def test_what_a_candidate_gives_is_accepted(trees: tuple[Tensors, BundleDescription]) -> None:
    check_tensors(*trees)
    assert trees[0]["category_left"].shape[0] > 0, "the sample has splits by category"


def _loop(tensors: Tensors) -> None:
    tensors["right"][0] = 1


def _far_child(tensors: Tensors) -> None:
    tensors["right"][0] = 10_000


def _loose_nodes(tensors: Tensors) -> None:
    tensors["right"][0], tensors["feature"][0] = 0, -1


def _gap(tensors: Tensors) -> None:
    tensors["tree_start"][0] = 1


def _empty_tree(tensors: Tensors) -> None:
    tensors["tree_start"][1] = 0


def _no_such_column(tensors: Tensors) -> None:
    tensors["feature"][0] = 99


def _leaf_with_column(tensors: Tensors) -> None:
    tensors["feature"][np.flatnonzero(tensors["right"] == 0)[0]] = 0


def _numeric_with_row(tensors: Tensors) -> None:
    numeric = np.flatnonzero((tensors["right"] != 0) & (tensors["category_row"] == -1))
    tensors["category_row"][numeric[0]] = 0


def _category_without_row(tensors: Tensors) -> None:
    tensors["category_row"][np.flatnonzero(tensors["category_row"] != -1)[0]] = -1


def _no_such_row(tensors: Tensors) -> None:
    tensors["category_row"][tensors["category_row"] != -1] = 99_999


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        pytest.param(_loop, "preorder", id="a-child-is-its-own-sibling"),
        pytest.param(_far_child, "preorder", id="a-child-in-another-tree"),
        pytest.param(_loose_nodes, "hang on no parent", id="nodes-without-parent"),
        pytest.param(_gap, "end to end", id="nodes-of-no-tree"),
        pytest.param(_empty_tree, "end to end", id="a-tree-without-nodes"),
        pytest.param(_no_such_column, "column that the encoding does not have", id="no-such-column"),
        pytest.param(_leaf_with_column, "column that the encoding does not have", id="a-leaf-that-splits"),
        pytest.param(_numeric_with_row, "or the reverse", id="a-number-split-by-category"),
        pytest.param(_category_without_row, "or the reverse", id="a-category-split-by-number"),
        pytest.param(_no_such_row, "not there", id="no-such-row-of-categories"),
    ],
)
def test_malformed_trees_are_refused(
    trees: tuple[Tensors, BundleDescription], harm: Callable[[Tensors], None], message: str
) -> None:
    tensors, description = trees
    harm(tensors)
    with pytest.raises(IntegrityError, match=message):
        check_tensors(tensors, description)


def test_rows_of_categories_are_as_wide_as_the_encoding_needs(
    trees: tuple[Tensors, BundleDescription],
) -> None:
    tensors, description = trees
    width = tensors["category_left"].shape[1]
    tensors["category_left"] = np.pad(tensors["category_left"], ((0, 0), (0, 1)))
    architecture = description.architecture.model_copy(update={"category_width": width + 1})
    with pytest.raises(IntegrityError, match=f"{width + 1} codes, the encoding {width}"):
        check_tensors(tensors, description.model_copy(update={"architecture": architecture}))


def test_a_tree_of_too_many_leaves_is_refused(trees: tuple[Tensors, BundleDescription]) -> None:
    _, description = trees
    # A chain: every split has a leaf on its left.
    n_nodes = 2 * MAX_LEAVES + 1
    right = np.zeros(n_nodes, dtype=np.int32)
    right[0:-1:2] = np.arange(2, n_nodes, 2)
    is_leaf = right == 0
    tensors = {
        "baseline": np.zeros(1),
        "tree_start": np.array([0, n_nodes]),
        "feature": np.where(is_leaf, -1, 0).astype(np.int32),
        "threshold": np.zeros(n_nodes),
        "missing_left": np.zeros(n_nodes, dtype=np.uint8),
        "category_row": np.full(n_nodes, -1, dtype=np.int32),
        "right": right,
        "value": np.zeros(n_nodes),
        "category_left": np.zeros((0, description.architecture.model_dump()["category_width"]), np.uint8),
    }
    sizes = {"n_trees": 1, "n_nodes": n_nodes, "n_category_splits": 0}
    architecture = description.architecture.model_copy(update=sizes)
    with pytest.raises(IntegrityError, match=f"more than the {MAX_LEAVES} leaves"):
        check_tensors(tensors, description.model_copy(update={"architecture": architecture}))


def test_sizes_count_a_node_and_all_below_it() -> None:
    #      0
    #    1   4
    #   2 3
    assert subtree_sizes(np.array([4, 3, 0, 0, 0])).tolist() == [5, 3, 1, 1, 1]


def test_trees_whose_tables_would_not_fit_into_memory_are_refused() -> None:
    # Every tree splits by a number of its own: the tables grow by the square of the trees.
    n_trees = 40_000
    content = sample_models.fitted("hist_gradient_boosting", "regression").description.model_dump()
    content["architecture"] |= {"n_trees": n_trees, "n_nodes": 3 * n_trees, "n_category_splits": 0}
    description = BundleDescription.model_validate(content)
    tensors = {
        "baseline": np.zeros(1),
        "tree_start": np.arange(n_trees + 1, dtype=np.int64) * 3,
        "feature": np.tile([0, -1, -1], n_trees).astype(np.int32),
        "threshold": np.repeat(np.arange(n_trees, dtype=np.float64), 3),
        "missing_left": np.zeros(3 * n_trees, dtype=np.uint8),
        "category_row": np.full(3 * n_trees, -1, dtype=np.int32),
        "right": np.tile([2, 0, 0], n_trees).astype(np.int32),
        "value": np.zeros(3 * n_trees),
        "category_left": np.zeros((0, description.architecture.category_width), dtype=np.uint8),
    }
    with pytest.raises(IntegrityError, match="too large to score: 40002 thresholds and levels, 40000 trees"):
        check_tensors(tensors, description)
