"""The part of a card that says what a model bears and leans on: stress, importance, label noise, speed."""

from __future__ import annotations

from pipelines.pages.document import Block, Bullets, Cell, Fact, Facts, Mark, Prose, Section, Table
from pipelines.pages.markup import share
from pipelines.records import Evaluation, LabelNoise, Speed, StressResult
from pipelines.registry.card.figures import also_not_measured, figure, not_measured

_MAX_FEATURES = 20
_AMOUNTS = {
    "noise": "{:g} standard deviations of noise",
    "missing": "{:.0%} of the cells missing",
    "extreme": "values {:g} standard deviations off",
    "unseen_levels": "{:.0%} of the categories never seen",
}


def robust_sections(evaluation: Evaluation, speed: Speed | None) -> list[Section]:
    """Return what the model bears, what it leans on, and how fast it is."""
    return [
        _stress(evaluation),
        _importance(evaluation),
        _label_noise(evaluation),
        _retraining_noise(evaluation),
        _speed(speed),
    ]


def _stress(evaluation: Evaluation) -> Section:
    title = "How it bears spoilt data"
    if not evaluation.stress:
        return Section(title, [not_measured(evaluation, "stress")])
    rows = [_stress_row(found) for found in evaluation.stress]
    head = ("spoilt by", "columns", evaluation.metric, "worse by", "predictions moved", "")
    table = Table(head, rows, numbers=head[1:5])
    return Section(title, [table, *also_not_measured(evaluation, "stress")])


def _stress_row(found: StressResult) -> list[Cell]:
    return [
        _AMOUNTS[found.kind].format(found.amount),
        f"{found.n_columns}",
        figure(found.metric),
        figure(found.loss),
        figure(found.moved),
        Mark("calm", "finite") if found.is_finite else Mark("critical", "NOT finite"),
    ]


def _importance(evaluation: Evaluation) -> Section:
    title = "What it leans on"
    found = evaluation.importance
    if found is None:
        return Section(title, [not_measured(evaluation, "importance")])
    rows = [[f.column, figure(f.value), share(f.share)] for f in found.features[:_MAX_FEATURES]]
    head = ("feature", f"moves ({found.unit})", "share")
    caption = f"{found.method}, of {found.n_rows} rows against {found.n_background}"
    blocks: list[Block] = [Table(head, rows, numbers=head[1:], caption=caption)]
    if (more := len(found.features) - _MAX_FEATURES) > 0:
        blocks.append(Prose(f"{more} more features move less."))
    return Section(title, [*blocks, *also_not_measured(evaluation, "importance")])


def _label_noise(evaluation: Evaluation) -> Section:
    title = "Labels that may be wrong"
    found = evaluation.label_noise
    if found is None:
        return Section(title, [not_measured(evaluation, "label_noise")])
    facts = [Fact("at most", share(found.share), f"{found.method}, of {found.n_rows} rows")]
    if found.surest_contradicted is not None:
        facts.append(
            Fact(
                "contradict the surest",
                share(found.surest_contradicted),
                "of the 2 % of rows that look surest",
            )
        )
    blocks: list[Block] = [Facts(facts), *_suspects(found)]
    return Section(title, [*blocks, *also_not_measured(evaluation, "label_noise")])


def _suspects(found: LabelNoise) -> list[Block]:
    if not found.suspects:
        return []
    return [Prose("Those that are contradicted most:"), Bullets([f"`{row}`" for row in found.suspects[:5]])]


def _retraining_noise(evaluation: Evaluation) -> Section:
    title = "How much is luck of training"
    found = evaluation.retraining_noise
    if found is None:
        return Section(title, [not_measured(evaluation, "retraining_noise")])
    of_what = f"{evaluation.metric} of {len(found.values)} models of this recipe, of other seeds and samples"
    reach = f"{figure(min(found.values))} to {figure(max(found.values))}"
    facts = [
        Fact("one such model varies by", figure(found.standard_deviation), f"{of_what}: {reach}"),
        Fact("beside what days explain", f"{found.ratio:.2g} times", "the variance; 1: days explain it all"),
    ]
    return Section(title, [Facts(facts)])


def _speed(speed: Speed | None) -> Section:
    title = "How fast it answers"
    if speed is None:
        return Section(title, [Prose("Not measured: its training left no `speed.json`.", "info")])
    facts = [
        Fact(
            "one row",
            f"{speed.row_seconds * 1000:.2f} ms",
            f"95 % under {speed.row_seconds_p95 * 1000:.2f} ms",
        ),
        Fact("many rows", f"{speed.rows_per_second:,.0f} a second", f"{speed.n_rows:,} at once"),
        Fact("to open", f"{speed.open_seconds:.2f} s", "golden rows checked"),
        Fact("measured on", speed.machine, f"{speed.device}, {speed.n_threads} threads"),
    ]
    return Section(title, [Facts(facts)])
