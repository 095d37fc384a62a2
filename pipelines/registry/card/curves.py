"""The part of a card that draws what the holdout showed: how it ranks, residuals, days, classes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from pipelines.pages.document import Block, Chart, Prose, Section, Series, Table
from pipelines.pages.markup import share
from pipelines.records import Evaluation
from pipelines.registry.card.figures import figure
from pipelines.registry.plot_files import Plot, numbers

CURVES = "What its predictions look like"
DRAWN = ("roc.csv", "precision_recall.csv", "residuals.csv", "confusion.csv", "by_day.csv")

_MODEL = "the model"
# Where a curve is read: a table of all its points would be read by nobody.
_FALSE_ALARMS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_RECALLS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
_N_BINS, _MAX_DAYS, _MAX_CLASSES = 8, 31, 12

Numbers = Sequence[float]


def curves_section(evaluation: Evaluation, plots: Mapping[str, Plot], undrawn: str) -> Section:
    """Return the plots of the holdout as charts; ``undrawn`` says why there are none."""
    if undrawn:
        return Section(CURVES, [Prose(f"Not drawn: {undrawn}", "info")])
    blocks = [*_drawn(evaluation, plots)]
    return Section(CURVES, blocks or [Prose("Not drawn: the training had nothing to plot.", "info")])


def _drawn(evaluation: Evaluation, plots: Mapping[str, Plot]) -> Iterator[Block]:
    if (roc := plots.get("roc.csv")) is not None:
        yield _roc(roc, _of_classes(evaluation))
    if (curve := plots.get("precision_recall.csv")) is not None:
        yield _precision(curve, _of_classes(evaluation))
    if (residuals := plots.get("residuals.csv")) is not None:
        yield _residuals(residuals)
    if (days := plots.get("by_day.csv")) is not None:
        yield _by_day(days, evaluation)
    if (classes := plots.get("confusion.csv")) is not None:
        yield _confusion(classes)


def _of_classes(evaluation: Evaluation) -> str:
    return ", the mean of each class against the rest" if evaluation.task == "multiclass" else ""


def _roc(plot: Plot, of: str) -> Chart:
    alarms, hits = numbers(plot, "false_positive_rate"), numbers(plot, "true_positive_rate")
    at = [_nearest(alarms, wanted) for wanted in _FALSE_ALARMS]
    head = ("false positive rate", "true positive rate")
    return Chart(
        f"ROC curve{of}",
        *head,
        [
            Series(_MODEL, _points(alarms, hits)),
            Series("guessing", [(0.0, 0.0), (1.0, 1.0)], "naive"),
        ],
        Table(head, [[figure(alarms[n], 2), figure(hits[n], 3)] for n in at], numbers=head),
    )


def _precision(plot: Plot, of: str) -> Chart:
    recall, precision, chance = (numbers(plot, name) for name in ("recall", "precision", "chance"))
    at = [_nearest(recall, wanted) for wanted in _RECALLS]
    head = ("recall", "precision", "by guessing")
    rows = [[figure(recall[n], 2), figure(precision[n], 3), figure(chance[n], 3)] for n in at]
    return Chart(
        f"Precision and recall{of}",
        "recall",
        "precision",
        [
            Series(_MODEL, _points(recall, precision)),
            Series(f"guessing: {figure(chance[0], 3)}", _points(recall, chance), "naive"),
        ],
        Table(head, rows, numbers=head),
        y_shown=(0.0, 1.0),
    )


def _residuals(plot: Plot) -> Chart:
    guess, rest = numbers(plot, "prediction"), numbers(plot, "residual")
    order = sorted(range(len(guess)), key=guess.__getitem__)
    edges = [round(len(order) * part / _N_BINS) for part in range(_N_BINS + 1)]
    bins = [order[low:high] for low, high in itertools.pairwise(edges) if high > low]
    head = ("predicted, on average", "rows", "5 % are below", "median", "5 % are above")
    rows = [
        [
            figure(math.fsum(guess[n] for n in part) / len(part), 2),
            f"{len(part)}",
            *(figure(_quantile([rest[n] for n in part], q), 2) for q in (0.05, 0.5, 0.95)),
        ]
        for part in bins
    ]
    return Chart(
        f"What happened less what was predicted, of {len(guess)} rows",
        "predicted",
        "residual",
        [
            Series("a row", _points(guess, rest), "dots"),
            Series("no error", [(min(guess), 0.0), (max(guess), 0.0)], "naive"),
        ],
        Table(head, rows, numbers=head),
    )


def _by_day(plot: Plot, evaluation: Evaluation) -> Chart:
    days, metric = plot["partition_key"], evaluation.metric
    values, counts = numbers(plot, metric), plot["n"]
    whole = evaluation.metrics[metric].value
    series = [Series("a day", _points(range(len(days)), values), "dots")]
    if whole is not None and len(days) > 1:
        ends = [(0.0, whole), (len(days) - 1.0, whole)]
        series.append(Series(f"all days together: {figure(whole, 3)}", ends, "naive"))
    rows = [[day, figure(value, 3), n] for day, value, n in zip(days, values, counts, strict=True)]
    return Chart(
        f"{metric} by day" + (f"; the table has the last {_MAX_DAYS}" if len(days) > _MAX_DAYS else ""),
        "day",
        metric,
        series,
        Table(("day", metric, "rows"), rows[-_MAX_DAYS:], numbers=(metric, "rows")),
        steps=days,
    )


def _confusion(plot: Plot) -> Table:
    pairs = [*zip(plot["actual"], plot["predicted"], strict=True)]
    named = sorted({*plot["actual"], *plot["predicted"]})[:_MAX_CLASSES]
    rows = []
    for actual in named:
        said = [guess for truth, guess in pairs if truth == actual]
        cells = [_part(said.count(guess), len(said)) for guess in named]
        rows.append([actual, *cells, f"{len(said)}"])
    head = ("happened", *(f"predicted {name}" for name in named), "rows")
    caption = f"What happened and the likeliest class, of {len(pairs)} rows; shares of what happened"
    return Table(head, rows, numbers=head[1:], caption=caption)


def _points(xs: Numbers, ys: Numbers) -> list[tuple[float, float]]:
    """Return the points that are defined: two cards with a nan in them would never be the same."""
    pairs = zip(xs, ys, strict=True)
    return [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _part(n: int, n_all: int) -> str:
    return share(n / n_all) if n_all else "–"


def _nearest(values: Numbers, wanted: float) -> int:
    return min(range(len(values)), key=lambda place: abs(values[place] - wanted))


def _quantile(values: Numbers, part: float) -> float:
    """Return the value that this part of the others lies below."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
