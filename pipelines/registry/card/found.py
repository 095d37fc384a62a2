"""The part of a card that says how a model was found: the trials of its search, or that there was none."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from pipelines.pages.document import (
    Block,
    Bullets,
    Cell,
    Chart,
    Fact,
    Facts,
    Mark,
    Prose,
    Section,
    Series,
    Style,
    Table,
)
from pipelines.records import SearchBudget, SearchSummary, Selection, SelectionTrial
from pipelines.registry.card.figures import figure

FOUND = "How it was found"
_MAX_TRIALS, _MAX_FAILED = 8, 3
_STYLES: tuple[Style, ...] = ("dots", "rings", "crosses")
# Of a model that is compared by how well it ranks, whether its chances are right is told too.
_LOSS = "log_loss"


def found_section(selection: Selection | None, unknown: str) -> Section:
    """Return how the model was found; ``unknown`` says why that is not known."""
    if selection is None:
        return Section(FOUND, [Prose(f"Not known: {unknown}", "info")])
    if selection.search is None:
        return Section(FOUND, [Prose(_unsearched(selection)), *_calibrated(selection)])
    search, trials = selection.search, selection.trials
    told = [
        Facts(_facts(search, trials)),
        _chart(search, trials),
        _best(search, trials),
        *_failed(trials),
        Prose(
            "All of this is on the validation rows, by which the search chose: the more trials, the more "
            "of the winner's lead is luck. The holdout, which it never saw, is the judge."
        ),
    ]
    return Section(FOUND, [*told, *_calibrated(selection)])


def _unsearched(selection: Selection) -> str:
    """Return the one line that there was no search."""
    candidates = [f"{name} ({_metrics(found)})" for name, found in selection.validation.items()]
    told = ", ".join(candidates) + (f"; {selection.candidate} was kept" if len(candidates) > 1 else "")
    return f"No search: each candidate was fitted once, with its defaults. On the validation rows: {told}."


def _metrics(found: Mapping[str, float]) -> str:
    told = [f"{name} {figure(value)}" for name, value in sorted(found.items()) if name != "n"]
    return ", ".join(told) or "no metric is defined"


def _facts(search: SearchSummary, trials: Sequence[SelectionTrial]) -> list[Fact]:
    best, default = trials[search.best_trial], _best_default(search, trials)
    n_complete = search.n_trials - search.n_pruned - search.n_failed
    outcome = f"{n_complete} complete, {search.n_pruned} pruned, {search.n_failed} failed"
    pruning = "what fell behind was given up" if search.budget.is_pruned else "none was given up"
    value, start = best.metrics.get(search.metric), default.metrics.get(search.metric)
    gain = None if value is None or start is None else value - start
    better = "higher" if search.greater_is_better else "lower"
    return [
        Fact("trials", f"{search.n_trials}", outcome),
        Fact("budget", _budget(search.budget), pruning),
        Fact("seed", f"{search.seed}"),
        Fact(f"validation {search.metric}", figure(value), f"trial {best.number}; {better} is better"),
        Fact("best defaults", figure(start), f"{default.candidate}, trial {default.number}"),
        Fact("changed by the search", "–" if gain is None else f"{gain:+.4f}", _loss_change(best, default)),
    ]


def _loss_change(best: SelectionTrial, default: SelectionTrial) -> str:
    before, after = default.metrics.get(_LOSS), best.metrics.get(_LOSS)
    return "" if before is None or after is None else f"{_LOSS} {figure(before)} to {figure(after)}"


def _budget(budget: SearchBudget) -> str:
    parts = [f"{budget.trials} trials"] if budget.trials else []
    parts += [f"{budget.minutes:g} minutes"] if budget.minutes else []
    return " or ".join(parts)


def _chart(search: SearchSummary, trials: Sequence[SelectionTrial]) -> Chart:
    """Draw each trial that gave a model, and the best so far."""
    values = [trial.metrics.get(search.metric, math.nan) for trial in trials]
    known = [(trial.number, value) for trial, value in zip(trials, values, strict=True) if value == value]
    start = _best_default(search, trials).metrics.get(search.metric)
    series = [
        Series(name, [(number, value) for number, value in known if trials[number].candidate == name], style)
        for name, style in zip(
            dict.fromkeys(trial.candidate for trial in trials), itertools.cycle(_STYLES), strict=False
        )
    ]
    ends = [] if start is None else [(0.0, start), (float(max(len(trials) - 1, 1)), start)]
    lines = [Series("best so far", _best_so_far(search, known)), Series("best defaults", ends, "naive")]
    return Chart("What each trial gave", "trial", f"validation {search.metric}", [*series, *lines])


def _best_so_far(search: SearchSummary, known: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """Return a line that steps where a trial is better than all before it."""
    better = max if search.greater_is_better else min
    points: list[tuple[float, float]] = []
    for number, value in known:
        before = points[-1][1] if points else value
        points += [(float(number), before), (float(number), better(before, value))]
    return [*points, (search.n_trials - 1.0, points[-1][1])] if points else []


def _best(search: SearchSummary, trials: Sequence[SelectionTrial]) -> Table:
    """Tell the best trials, and the defaults of each candidate for comparison."""
    losses = [_LOSS] if search.metric != _LOSS and any(_LOSS in trial.metrics for trial in trials) else []
    ranked = _ranked(search, trials)
    told = ranked[:_MAX_TRIALS] + [trial for trial in ranked[_MAX_TRIALS:] if not trial.parameters]
    shown = [search.metric, *losses]
    rows: list[list[Cell]] = [
        [
            f"{trial.number}",
            trial.candidate,
            _parameters(trial),
            *(figure(trial.metrics.get(name)) for name in shown),
            f"{trial.n_rounds}",
            _verdict(trial, search),
        ]
        for trial in told
    ]
    head = ("trial", "candidate", "parameters", *shown, "rounds", "")
    more = len(ranked) - len(told)
    caption = "The best trials" + (f"; {more} more that gave a model are in selection.json" if more else "")
    return Table(head, rows, numbers=("trial", *shown, "rounds"), caption=caption)


def _verdict(trial: SelectionTrial, search: SearchSummary) -> Mark:
    if trial.number == search.best_trial:
        return Mark("calm", "kept")
    return Mark("none", "tried") if trial.parameters else Mark("info", "defaults")


def _parameters(trial: SelectionTrial) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in trial.parameters.items()) or "its defaults"


def _ranked(search: SearchSummary, trials: Sequence[SelectionTrial]) -> list[SelectionTrial]:
    """Return the trials that gave a model, the best first; of equals the first."""
    sign = -1 if search.greater_is_better else 1
    given = [trial for trial in trials if search.metric in trial.metrics]
    return sorted(given, key=lambda trial: sign * trial.metrics[search.metric])


def _best_default(search: SearchSummary, trials: Sequence[SelectionTrial]) -> SelectionTrial:
    defaults = [trial for trial in trials if not trial.parameters]
    return next(iter(_ranked(search, defaults)), trials[0])


def _failed(trials: Sequence[SelectionTrial]) -> list[Block]:
    failed = [trial for trial in trials if trial.state == "failed"]
    texts = [
        f"Trial {trial.number} ({trial.candidate}) failed: {trial.said}" for trial in failed[:_MAX_FAILED]
    ]
    if (more := len(failed) - _MAX_FAILED) > 0:
        texts.append(f"{more} more failed; selection.json says why.")
    return [Bullets(texts)] if texts else []


def _calibrated(selection: Selection) -> list[Block]:
    found = selection.calibration
    if found is None:
        return []
    verdict = "kept" if found.is_used else "not kept"
    return [
        Prose(
            f"A calibration was tried on {found.n_rows} rows in {found.n_groups} groups, and {verdict}: on "
            f"groups left out the log-loss was lower by {found.log_loss_gain:.5f}, and chance alone may give "
            f"{found.gain_needed:.5f}."
        )
    ]
