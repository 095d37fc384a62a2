"""How a card tells what its plots show and how its model was found, for every task."""

from __future__ import annotations

from pathlib import Path

import evaluations
import pytest
import scored_rows

from pipelines.evaluation.plots import write_plots
from pipelines.pages.document import Chart, Document, Section, Table
from pipelines.pages.document_page import document_page
from pipelines.pages.document_text import document_text
from pipelines.registry.card.curves import DRAWN, curves_section
from pipelines.registry.card.found import found_section
from pipelines.registry.card.measured import measured_sections
from pipelines.registry.plot_files import read_plots

_RESIDUALS = '"prediction","residual"\n' + "".join(f"{n},{n % 7 - 3}\n" for n in range(80))
_CONFUSION = '"actual","predicted"\n"a","a"\n"a","b"\n"b","b"\n"a","a"\n'


def _curves(folder: Path, plots: dict[str, str], **changes: object) -> Section:
    evaluations.write_plots(folder, plots)
    return curves_section(evaluations.evaluation(**changes), read_plots(folder, DRAWN), "")


def _text(section: Section) -> str:
    return document_text(Document("card", [section]))


@pytest.mark.parametrize(
    ("task", "metric", "drawn"),
    [
        pytest.param("binary", "auc", ["ROC curve", "Precision and recall", "auc by day"], id="binary"),
        pytest.param(
            "multiclass",
            "log_loss",
            [
                "ROC curve, the mean",
                "Precision and recall, the mean",
                "log_loss by day",
                "What happened and the",
            ],
            id="multiclass",
        ),
        pytest.param("regression", "rmse", ["What happened less", "rmse by day"], id="regression"),
    ],
)
def test_what_a_training_plots_is_what_a_card_draws(
    task: str, metric: str, drawn: list[str], tmp_path: Path
) -> None:
    rows = scored_rows.rows_of(task)
    holdout = scored_rows.holdout_of(rows, scored_rows.model_of(task)(rows), scored_rows.config_of(task))
    write_plots(holdout, None, tmp_path)
    measured = evaluations.evaluation(task=task, metric=metric, metrics={metric: {"value": 0.5}})
    blocks = curves_section(measured, read_plots(tmp_path, DRAWN), "").blocks
    titles = [block.title if isinstance(block, Chart) else block.caption for block in blocks]  # type: ignore[union-attr]
    assert len(titles) == len(drawn)
    assert all(title.startswith(begins) for title, begins in zip(titles, drawn, strict=True))
    page = document_page(Document("card", [Section("s", blocks)]))
    assert page.count("<svg") == sum(isinstance(block, Chart) for block in blocks) >= 2


def test_a_regression_shows_its_residuals_against_no_error(tmp_path: Path) -> None:
    section = _curves(tmp_path / "plots", {"residuals.csv": _RESIDUALS}, task="regression")
    (chart,) = section.blocks
    assert isinstance(chart, Chart)
    rows, none = chart.series
    assert len(rows.points) == 80
    assert (none.style, none.points) == ("naive", [(0.0, 0.0), (79.0, 0.0)])
    assert chart.figures is not None
    assert [row[1] for row in chart.figures.rows] == ["10"] * 8
    assert {float(str(row[3])) for row in chart.figures.rows} <= {-1.0, 0.0, 1.0}


def test_several_classes_show_what_was_taken_for_what(tmp_path: Path) -> None:
    (table,) = _curves(tmp_path / "plots", {"confusion.csv": _CONFUSION}, task="multiclass").blocks
    assert isinstance(table, Table)
    assert [list(row) for row in table.rows] == [["a", "67%", "33%", "3"], ["b", "0%", "100%", "1"]]


def test_of_several_classes_a_curve_says_that_it_is_a_mean(tmp_path: Path) -> None:
    section = _curves(tmp_path / "plots", evaluations.PLOTS, task="multiclass")
    assert "ROC curve, the mean of each class against the rest" in _text(section)


@pytest.mark.parametrize(
    ("plots", "undrawn", "told"),
    [
        pytest.param({}, "they are lost.", "Not drawn: they are lost.", id="lost"),
        pytest.param({"roc.csv": "a,b\n"}, "", "the training had nothing to plot", id="empty"),
    ],
)
def test_where_there_is_nothing_to_draw_the_card_says_why(
    plots: dict[str, str], undrawn: str, told: str, tmp_path: Path
) -> None:
    evaluations.write_plots(tmp_path / "plots", plots or {"other.csv": ""})
    found = read_plots(tmp_path / "plots", DRAWN)
    assert told in _text(curves_section(evaluations.evaluation(), found, undrawn))


def test_a_day_that_can_not_be_measured_makes_no_card_differ_from_itself(tmp_path: Path) -> None:
    one, other = (_curves(tmp_path / name, evaluations.PLOTS) for name in ("one", "other"))
    assert one == other


def test_without_a_search_one_line_says_so() -> None:
    section = found_section(evaluations.selection(search=None, trials=()), "")
    assert _text(section).splitlines()[3:] == [
        "  No search: each candidate was fitted once, with its defaults. On the validation rows: "
        "stumps (auc 0.7400), line (auc 0.6000); stumps was kept."
    ]


def test_a_search_shows_the_best_first_and_every_default_for_comparison() -> None:
    many = [evaluations.trial(n, "stumps", {"rate": n / 10}, auc=0.6 + n / 100) for n in range(2, 14)]
    trials = [evaluations.trial(0, "stumps", auc=0.5), evaluations.trial(1, "line", auc=0.4), *many]
    plain = evaluations.selection()
    assert plain.search is not None
    search = plain.search.model_copy(
        update={"n_trials": 14, "n_pruned": 0, "n_failed": 0, "best_trial": 13}
    ).model_dump()
    section = found_section(evaluations.selection(search=search, trials=trials), "")
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["13", "12", "11", "10", "9", "8", "7", "6", "0", "1"]
    assert "4 more that gave a model" in table.caption
    chart = next(block for block in section.blocks if isinstance(block, Chart))
    best_so_far = next(series for series in chart.series if series.name == "best so far")
    assert [value for _, value in best_so_far.points] == sorted(value for _, value in best_so_far.points)


def test_where_less_is_better_the_least_is_the_best() -> None:
    plain = evaluations.selection()
    assert plain.search is not None
    changes = {"metric": "rmse", "greater_is_better": False, "best_trial": 1, "n_trials": 2}
    trials = [
        evaluations.trial(0, "line", rmse=3.0),
        evaluations.trial(1, "line", {"penalty": 1.0}, rmse=2.5),
    ]
    search = {**plain.search.model_dump(), **changes, "n_pruned": 0, "n_failed": 0}
    text = _text(found_section(evaluations.selection(search=search, trials=trials), ""))
    assert "2.5000  (trial 1; lower is better)" in text
    assert "-0.5000" in text


def test_a_search_without_a_value_to_compare_is_told() -> None:
    trials = [evaluations.trial(0, "stumps"), evaluations.trial(1, "line")]
    plain = evaluations.selection()
    assert plain.search is not None
    search = plain.search.model_dump() | {"best_trial": 0, "n_trials": 2, "n_pruned": 0, "n_failed": 0}
    section = found_section(evaluations.selection(search=search, trials=trials), "")
    assert "Nothing to draw." in document_page(Document("card", [section]))
    assert "validation auc      –" in _text(section)


def test_a_calibration_that_was_tried_is_told() -> None:
    tried = {
        "n_rows": 500,
        "n_groups": 5,
        "log_loss_gain": 0.00125,
        "gain_needed": 0.002,
        "is_used": False,
    }
    text = _text(found_section(evaluations.selection(calibration=tried), ""))
    assert "tried on 500 rows in 5 groups, and not kept" in text


def test_levels_that_fairness_could_not_measure_are_told() -> None:
    (gap,) = evaluations.evaluation().fairness
    some = evaluations.evaluation(fairness=[gap.model_copy(update={"n_left_out": 3}).model_dump()])
    assert "2, 3 more not measured" in _fairness(some)
    assert "how it treats those" in _fairness(some)
    assert "not measured" not in _fairness(evaluations.evaluation(not_measured={}))


def _fairness(evaluation: evaluations.Evaluation) -> str:
    sections = measured_sections(evaluation)
    return _text(next(section for section in sections if section.title == "How evenly it treats groups"))
