"""The part of a card that says how good a model is: metrics, baselines, calibration, groups, fairness."""

from __future__ import annotations

from pipelines.pages.document import Block, Cell, Chart, Facts, Mark, Prose, Section, Series, Table
from pipelines.pages.markup import probability, share
from pipelines.records import CalibrationMeasure, Evaluation, SliceMeasure
from pipelines.registry.card.figures import also_not_measured, fact, figure, measured, not_measured, where

QUALITY = "How good it is"
_MAX_SLICES = 40
_LEFT_OUT = (
    "Not measured are levels that have too few rows for the measure (fewer than 50, or than 10 of the kind "
    "that it counts), or are not among the 20 most frequent: how it treats those, this table does not say."
)


def measured_sections(evaluation: Evaluation) -> list[Section]:
    """Return what was measured on the holdout."""
    return [
        _metrics(evaluation),
        _baselines(evaluation),
        _calibration(evaluation),
        _slices(evaluation),
        _fairness(evaluation),
    ]


def _metrics(evaluation: Evaluation) -> Section:
    better = "higher" if evaluation.greater_is_better else "lower"
    about = (
        f"On {evaluation.n_rows} rows of {evaluation.n_days} days, {evaluation.first_day} to "
        f"{evaluation.last_day}, which training never saw. Below each value is where it lies with "
        f"{share(evaluation.confidence)} confidence ({evaluation.interval_method}; {evaluation.n_units} "
        f"{evaluation.unit}). The primary metric is {evaluation.metric}: {better} is better."
    )
    ordered = sorted(evaluation.metrics.items(), key=lambda found: (found[0] != evaluation.metric, found[0]))
    facts = [fact(name, value) for name, value in ordered]
    return Section(QUALITY, [Prose(about), Facts(facts), *also_not_measured(evaluation, "metrics")])


def _baselines(evaluation: Evaluation) -> Section:
    title = "Against what knows next to nothing"
    if not evaluation.baselines:
        return Section(title, [not_measured(evaluation, "baselines")])
    rows = [
        [
            found.what,
            share(found.coverage),
            figure(found.metrics.get(evaluation.metric)),
            measured(found.gain),
        ]
        for found in evaluation.baselines
    ]
    head = ("baseline", "rows it answers", evaluation.metric, "the model is better by")
    table = Table(head, rows, numbers=head[1:])
    return Section(title, [table, *also_not_measured(evaluation, "baselines")])


def _calibration(evaluation: Evaluation) -> Section:
    title = "Whether its predictions mean what they say"
    found = evaluation.calibration
    if found is None:
        return Section(title, [not_measured(evaluation, "calibration")])
    facts = Facts(
        [
            fact("calibration error", found.error, "the mean distance from the truth, by rows"),
            fact("slope", found.slope, "1 is right; below it, too sure"),
            fact("intercept", found.intercept, "0 is right"),
        ]
    )
    return Section(title, [facts, _bins(found), *also_not_measured(evaluation, "calibration")])


def _bins(found: CalibrationMeasure) -> Chart:
    """Draw what was predicted against what happened, bin by bin."""
    points = [(part.mean_prediction, part.mean_target) for part in found.bins]
    ends = [value for point in points for value in point] or [0.0]
    right = [(end, end) for end in (min(ends), max(ends))]
    rows = [[figure(b.mean_prediction), figure(b.mean_target), f"{b.n}"] for b in found.bins]
    head = ("predicted", "happened", "rows")
    return Chart(
        f"{found.of[:1].upper()}{found.of[1:]}, in bins of like predictions",
        "predicted, on average",
        "happened, on average",
        [Series("a bin", points, "dots"), Series("predictions mean what they say", right, "naive")],
        Table(head, rows, numbers=head),
    )


def _slices(evaluation: Evaluation) -> Section:
    title = "Where it is worse"
    if not evaluation.slices:
        return Section(title, [not_measured(evaluation, "slices")])
    worst = [found for found in evaluation.slices if found.is_worse]
    told = (
        f"{len(worst)} of {len(evaluation.slices)} groups are worse than the rest beyond chance "
        "(corrected for how many were looked at"
        + (f"; {evaluation.n_slices_looked_at} to discover some)." if evaluation.n_slices_looked_at else ").")
    )
    ordered = sorted(evaluation.slices, key=_badness)
    rows = [_slice_row(found) for found in ordered[:_MAX_SLICES]]
    head = ("group", "found", "rows", evaluation.metric, "excess loss", "p", "")
    blocks: list[Block] = [
        Prose(told),
        Table(head, rows, numbers=("rows", evaluation.metric, "excess loss", "p")),
    ]
    if len(ordered) > _MAX_SLICES:
        blocks.append(Prose(f"{len(ordered) - _MAX_SLICES} more are in evaluation.json."))
    return Section(title, [*blocks, *also_not_measured(evaluation, "slices")])


def _badness(found: SliceMeasure) -> tuple[bool, float]:
    return not found.is_worse, -(found.excess_loss.value or 0.0)


def _slice_row(found: SliceMeasure) -> list[Cell]:
    return [
        where(found.where),
        found.kind,
        f"{found.n_rows}",
        measured(found.metric, 3),
        measured(found.excess_loss, 3),
        "–" if found.p_value is None else probability(found.p_value),
        Mark("warning", "worse") if found.is_worse else Mark("calm", "no worse"),
    ]


def _fairness(evaluation: Evaluation) -> Section:
    title = "How evenly it treats groups"
    if not evaluation.fairness:
        return Section(title, [not_measured(evaluation, "fairness")])
    rows: list[list[Cell]] = [
        [
            found.column,
            found.measure.replace("_", " "),
            measured(found.gap),
            f"{found.highest_level}: {figure(found.highest)}",
            f"{found.lowest_level}: {figure(found.lowest)}",
            f"{found.n_levels}" + (f", {found.n_left_out} more not measured" if found.n_left_out else ""),
        ]
        for found in evaluation.fairness
    ]
    head = ("column", "measure", "widest gap", "highest", "lowest", "levels")
    blocks: list[Block] = [Table(head, rows, numbers=("widest gap",))]
    if any(found.n_left_out for found in evaluation.fairness):
        blocks.append(Prose(_LEFT_OUT))
    return Section(title, [*blocks, *also_not_measured(evaluation, "fairness")])
