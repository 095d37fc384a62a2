"""What a night's drift means: a page only for a loss or a fault, and a fault is never retrained on."""

from __future__ import annotations

import pytest

from pipelines.config import DatasetConfig
from pipelines.monitoring.consequence.triage import triage
from pipelines.monitoring.significance.findings import Findings
from pipelines.records import ColumnDrift, ConceptDrift, DataBug, PerformanceEstimate


def _config(**overrides):
    return DatasetConfig.model_validate(
        {
            "description": "a toy",
            "task": "binary",
            "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
            "columns": {"x": "float"},
            "target": "y",
            "labels": {"y": "integer"},
            "features": {"sql": "toy.sql", "numeric": ["x", "z"]},
        }
        | overrides
    )


def _column(name, distance=0.5, *, is_drifted=True, method="wasserstein"):
    return ColumnDrift(
        column=name, method=method, distance=distance, threshold=0.1, is_drifted=is_drifted, q_value=0.001
    )


def _findings(*columns, severity="warning", **parts):
    plain = {"prediction": None, "label": None, "joint": None}
    return Findings(columns=columns, severity=severity, calibration_digest="", **(plain | parts))


def _concept(loss, *, severity="warning"):
    return ConceptDrift(
        metric="auc",
        value=0.8 - loss,
        reference_value=0.8,
        loss=loss,
        p_value=0.001,
        n_days=3,
        n_rows=900,
        first_partition="2013-04-01",
        last_partition="2013-04-03",
        is_drifted=severity != "none",
        severity=severity,
    )


def _estimate(loss, *, half=0.03, is_worse=True):
    value = 0.8 - loss
    return PerformanceEstimate(
        metric="auc",
        value=value,
        lower=value - half,
        upper=value + half,
        confidence=0.9,
        reference_value=0.8,
        expected_loss=loss,
        is_worse=is_worse,
        method="confidence",
    )


BUG = DataBug(
    column="x",
    signature="unit_change",
    explanation="x looks as if it were in another unit, since 2013-04-02.",
    first_partition="2013-04-02",
    n_rows=900,
    share=1.0,
)
CALM, MOVED = _findings(severity="none"), _findings(_column("x"))
FAR = _findings(_column("x"), severity="critical")
LATE = _config(label_maturity_days=30)


@pytest.mark.parametrize(
    ("findings", "known", "config", "expected"),
    [
        pytest.param(CALM, {}, _config(), ("none", "none", False), id="calm"),
        pytest.param(MOVED, {}, _config(), ("record", "warning", False), id="drift-of-unknown-cost"),
        pytest.param(
            MOVED,
            {"concept": _concept(0.0, severity="none")},
            _config(),
            ("record", "warning", False),
            id="drift-without-loss",
        ),
        pytest.param(
            CALM, {"concept": _concept(0.05)}, _config(), ("retrain", "warning", True), id="measured-loss"
        ),
        pytest.param(
            FAR,
            {"concept": _concept(0.2, severity="critical"), "estimate": _estimate(0.0, is_worse=False)},
            _config(),
            ("retrain", "critical", True),
            id="labels-outrank-a-hopeful-estimate",
        ),
        pytest.param(
            MOVED, {"estimate": _estimate(0.06)}, LATE, ("retrain", "warning", True), id="estimated-loss"
        ),
        pytest.param(
            FAR, {"estimate": _estimate(0.3)}, LATE, ("retrain", "critical", True), id="estimated-collapse"
        ),
        pytest.param(
            CALM, {"estimate": _estimate(0.3)}, LATE, ("none", "none", False), id="estimate-without-any-drift"
        ),
        pytest.param(
            MOVED,
            {"estimate": _estimate(0.06), "concept": _concept(0.0, severity="none")},
            _config(),
            ("record", "warning", False),
            id="fresh-labels-deny-an-estimate",
        ),
        pytest.param(
            MOVED,
            {"estimate": _estimate(0.06), "concept": _concept(0.0, severity="none")},
            LATE,
            ("retrain", "warning", True),
            id="old-labels-deny-nothing",
        ),
        pytest.param(
            MOVED,
            {"estimate": _estimate(0.06), "concept": _concept(0.05, severity="none")},
            _config(),
            ("retrain", "warning", True),
            id="labels-that-lean-the-same-way",
        ),
        pytest.param(
            FAR,
            {"bugs": [BUG], "concept": _concept(0.3, severity="critical"), "estimate": _estimate(0.3)},
            _config(),
            ("investigate", "critical", True),
            id="a-fault-outranks-every-loss",
        ),
        pytest.param(
            CALM, {"bugs": [BUG]}, _config(), ("investigate", "critical", True), id="a-fault-by-itself"
        ),
        pytest.param(
            _findings(label=_column("y")), {}, _config(), ("record", "warning", False), id="labels-drift"
        ),
    ],
)
def test_a_night_is_triaged_by_what_it_costs(findings, known, config, expected):
    given = {"concept": None, "estimate": None, "bugs": (), "importances": {}} | known
    found = triage(findings, config=config, **given)
    assert (found.action, found.severity, found.is_page) == expected
    assert bool(found.reasons) == (expected[0] != "none")


def test_columns_are_ranked_by_what_the_model_makes_of_them():
    columns = [_column("z", 3.0), _column("x", 0.5), _column("w", 0.01, is_drifted=False)]
    found = triage(
        _findings(*columns),
        concept=None,
        estimate=None,
        bugs=(),
        importances={"x": 0.9, "z": 0.05},
        config=_config(),
    )
    assert [column.column for column in found.columns] == ["x", "z", "w"]
    assert [column.impact for column in found.columns] == pytest.approx([0.45, 0.15, 0.0])
    assert "90% of the model's skill rests on it" in " ".join(found.reasons)


def test_without_importances_the_farthest_column_comes_first():
    found = triage(
        _findings(_column("x", 0.5), _column("z", 3.0)),
        concept=None,
        estimate=None,
        bugs=(),
        importances={},
        config=_config(),
    )
    assert [column.column for column in found.columns] == ["z", "x"]


@pytest.mark.parametrize(
    ("concept", "estimate", "loss"),
    [
        pytest.param(_concept(0.05), _estimate(0.2), 0.05, id="as-measured"),
        pytest.param(_concept(0.0, severity="none"), _estimate(0.2), 0.2, id="as-estimated"),
        pytest.param(None, None, None, id="not-known"),
    ],
)
def test_the_expected_loss_is_the_best_that_is_known(concept, estimate, loss):
    found = triage(MOVED, concept=concept, estimate=estimate, bugs=(), importances={}, config=LATE)
    assert found.expected_loss == (None if loss is None else pytest.approx(loss))


def test_the_four_drifts_are_named_apart():
    findings = _findings(_column("x"), prediction=_column("prediction"), label=_column("y"))
    found = triage(findings, concept=_concept(0.1), estimate=None, bugs=(), importances={}, config=_config())
    assert found.kinds == ("data", "prediction", "label", "concept")


def test_the_reasons_for_a_fault_say_what_to_do_and_stay_bounded():
    bugs = [BUG.model_copy(update={"column": f"x{number}"}) for number in range(400)]
    columns = [_column(f"x{number}") for number in range(400)]
    found = triage(
        _findings(*columns), concept=None, estimate=None, bugs=bugs, importances={}, config=_config()
    )
    text = " ".join(found.reasons)
    assert "in quarantine" in text
    assert "395 more columns look faulty" in text
    assert len(text) < 3000


def test_levels_of_ten_thousand_characters_stay_short():
    levels = ({"level": "<b>" * 10_000, "reference_share": 0.1, "current_share": 0.4, "p_value": 0.0},)
    column = ColumnDrift.model_validate(
        _column("x", method="jensenshannon").model_dump() | {"levels": levels}
    )
    found = triage(_findings(column), concept=None, estimate=None, bugs=(), importances={}, config=_config())
    assert len(" ".join(found.reasons)) < 1000
