"""Gates on who challenges: not the champion itself, nothing that was taken back, not too many at once."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.config import PromotionConfig
from pipelines.records import ChampionMove, GateResult
from pipelines.registry.gates.comparison import share_of_risk
from pipelines.registry.gates.words import named, ordinal
from pipelines.registry.watching import WATCH


def challenger_is_not_champion(model_version: str, champion: ChampionMove | None) -> GateResult:
    """Ask that the challenger is another version than the champion."""
    present = "no champion yet" if champion is None else f"the champion is v{champion.model_version}"
    return GateResult(
        name="challenger_is_not_champion",
        is_passed=champion is None or champion.model_version != model_version,
        observed=f"v{model_version}; {present}",
        required="another version than the champion",
    )


def not_rolled_back(model_version: str, moves: Sequence[ChampionMove]) -> GateResult:
    """Ask that nobody has taken this very version out of the champion's place.

    A person who rolls back knows something that the holdout does not, and so does the watch, which has seen
    live labels. Only a person brings such a version back: by a rollback that names it.

    Parameters
    ----------
    moves : sequence of ChampionMove
        The champion's history, oldest first.
    """
    about = [move for move in moves if model_version in (move.model_version, move.previous_version)]
    last = about[-1] if about else None
    withdrawn = last is not None and last.action == "rollback" and last.previous_version == model_version
    if last is None or not withdrawn:
        observed = "never, or brought back"
        required = "taken back by neither a person nor the watch"
    else:
        is_watch = last.actor == WATCH
        observed = f"rolled back by {'the watch' if is_watch else last.actor}: {last.reason}"
        required = f"not taken back by {'the watch' if is_watch else 'a person'}"
    return GateResult(name="not_rolled_back", is_passed=not withdrawn, observed=observed, required=required)


def holdout_reuse(
    before: Sequence[str], *, champion: str | None, days: Sequence[str], config: PromotionConfig
) -> GateResult:
    """Ask that the days were not used up by challengers before; each that failed on them makes it harder.

    Who tries often enough wins by luck. The risk of promoting one that is no better is therefore shared
    among all challengers that meet one champion on the same days: see :func:`share_of_risk`.

    Parameters
    ----------
    before : sequence of str
        The versions that were held to this champion on some of these days, and were no better.
    days : sequence of str
        The holdout of this challenger.
    """
    number = len(before) + 1
    risk = share_of_risk(len(before), config)
    if champion is None:
        observed = "no champion yet"
    else:
        others = f", after v{named(before)}" if before else ""
        observed = (
            f"the {ordinal(number)} challenger to v{champion} on days of {days[0]} to {days[-1]}{others}: "
            f"its share of the risk is {risk:.3g}"
        )
    return GateResult(
        name="holdout_reuse",
        is_passed=champion is None or number <= config.max_challengers,
        observed=observed,
        required=f"at most {config.max_challengers} challengers on the same days; then wait for newer ones",
        details={"n_before": len(before), "before": list(before[:20]), "risk": risk},
    )
