"""What changed between two versions of a suite, in meaning: added, removed, tightened, loosened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal

from pipelines.records import Record, digest_of
from pipelines.validation.judgements import comparable
from pipelines.validation.rules import EXPLAINING_ARGUMENTS, Rule
from pipelines.validation.suite import Suite

Effect = Literal["tightened", "loosened", "severity", "changed", "explained"]

_HIGHER_IS_STRICTER = ("min_value", "mostly")
_LOWER_IS_STRICTER = ("max_value", "multiplier", "threshold")
_TRUE_IS_STRICTER = ("strict_min", "strict_max", "strictly")
# What one gets by leaving the argument out.
_DEFAULTS: dict[str, Any] = {"mostly": 1, "strict_min": False, "strict_max": False, "strictly": False}


class ArgumentChange(Record):
    """One argument, before and after; None where it was not written."""

    argument: str
    effect: Effect
    old: Any = None
    new: Any = None


class RuleChange(Record):
    """One rule that was added, removed or changed."""

    kind: Literal["added", "removed", "changed"]
    rule: str
    line: int
    severity: str
    effects: tuple[Effect, ...] = ()
    changes: tuple[ArgumentChange, ...] = ()


class SuiteDifference(Record):
    """What changed from one suite to another; ``is_same`` if nothing that counts did."""

    old: str
    new: str
    changes: tuple[RuleChange, ...]

    @property
    def is_same(self) -> bool:
        """Whether both ask the same of the data."""
        return all(change.effects == ("explained",) for change in self.changes)


def compare_suites(old: Suite | None, new: Suite, *, old_name: str, new_name: str) -> SuiteDifference:
    """Return what changed in meaning; comments, layout and order don't count.

    Parameters
    ----------
    old : Suite or None
        None where there was none: every rule is added.
    """
    pairs, added, removed = _paired(old.rules if old else (), new.rules)
    changes = [change for before, after in pairs if (change := _change(before, after)) is not None]
    changes += [_whole("added", rule) for rule in added]
    changes += [_whole("removed", rule) for rule in removed]
    return SuiteDifference(old=old_name, new=new_name, changes=tuple(changes))


def _paired(
    old: Sequence[Rule], new: Sequence[Rule]
) -> tuple[list[tuple[Rule, Rule]], list[Rule], list[Rule]]:
    """Return rules that belong together, and those without a counterpart.

    Rules of one type, columns and row condition are alike; among several, those that share most.
    """
    left, waiting = list(old), list(new)
    pairs: list[tuple[Rule, Rule]] = []
    likeness: list[Callable[[Rule], Any]] = [
        lambda rule: [_subject(rule), rule.bounds, rule.severity],
        lambda rule: [_subject(rule), rule.bounds],
        lambda rule: [_subject(rule), rule.severity],
        lambda rule: [_subject(rule)],
        lambda rule: [rule.type, rule.columns],
    ]
    for key in likeness:
        by_key: dict[str, list[Rule]] = {}
        for rule in left:
            by_key.setdefault(digest_of(key(rule)), []).append(rule)
        for rule in list(waiting):
            if found := by_key.get(digest_of(key(rule))):
                before = found.pop(0)
                pairs.append((before, rule))
                left.remove(before)
                waiting.remove(rule)
    return sorted(pairs, key=lambda pair: pair[1].position), waiting, left


def _subject(rule: Rule) -> list[Any]:
    return [rule.type, rule.columns, rule.arguments.get("row_condition")]


def _whole(kind: Literal["added", "removed"], rule: Rule) -> RuleChange:
    values = tuple(
        ArgumentChange(
            argument=name,
            effect="tightened" if kind == "added" else "loosened",
            old=None if kind == "added" else _plain(value),
            new=_plain(value) if kind == "added" else None,
        )
        for name, value in rule.bounds.items()
    )
    effect: Effect = "tightened" if kind == "added" else "loosened"
    return RuleChange(
        kind=kind,
        rule=rule.title,
        line=rule.line,
        severity=rule.severity,
        effects=(effect,),
        changes=values,
    )


def _change(before: Rule, after: Rule) -> RuleChange | None:
    changes = []
    if before.severity != after.severity:
        changes.append(
            ArgumentChange(argument="severity", effect="severity", old=before.severity, new=after.severity)
        )
    for name in dict.fromkeys([*before.arguments, *after.arguments]):
        old, new = (rule.arguments.get(name, _DEFAULTS.get(name)) for rule in (before, after))
        if digest_of(old) != digest_of(new) and old != new:
            effect = _effect(name, old, new, after.type)
            changes.append(ArgumentChange(argument=name, effect=effect, old=_plain(old), new=_plain(new)))
    if not changes:
        return None
    effects = tuple(dict.fromkeys(change.effect for change in changes))
    return RuleChange(
        kind="changed",
        rule=after.title,
        line=after.line,
        severity=after.severity,
        effects=effects,
        changes=tuple(changes),
    )


def _effect(name: str, old: Any, new: Any, kind: str) -> Effect:
    if name in EXPLAINING_ARGUMENTS:
        return "explained"
    if name in _TRUE_IS_STRICTER:
        return "tightened" if new else "loosened"
    if name in (*_HIGHER_IS_STRICTER, *_LOWER_IS_STRICTER):
        if old is None or new is None:
            return "tightened" if old is None else "loosened"
        if not comparable(old, new):
            return "changed"
        return "tightened" if (new > old) == (name in _HIGHER_IS_STRICTER) else "loosened"
    if name == "value_set" and isinstance(old, list) and isinstance(new, list):
        return _effect_of_set(old, new, kind)
    if name == "row_condition" and (old is None or new is None):
        return "loosened" if old is None else "tightened"
    return "changed"


def _effect_of_set(old: Iterable[Any], new: Iterable[Any], kind: str) -> Effect:
    before, after = set(map(repr, old)), set(map(repr, new))
    if before == after:
        return "explained"
    more_is_stricter = "_not_be_in_set" in kind or "contain_set" in kind
    if "equal_set" not in kind and before < after:
        return "tightened" if more_is_stricter else "loosened"
    if "equal_set" not in kind and after < before:
        return "loosened" if more_is_stricter else "tightened"
    return "changed"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value
