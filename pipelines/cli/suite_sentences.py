"""What the commands about suites print for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.steps.replay import Replay
    from pipelines.steps.suite_trials import SuiteTrial
    from pipelines.validation.compare import ArgumentChange, SuiteDifference
    from pipelines.validation.lint import LintReport
    from pipelines.validation.replay import NightDifference

_MOST = 20


def render_lint(reports: Sequence[LintReport], *, explain: bool) -> str:
    """Return one line a finding, as compilers print them, and a last line that sums up."""
    lines = []
    for report in reports:
        lines += [
            f"{report.file}:{found.line}:{found.column}: {found.level}: {found.message}"
            for found in report.findings
        ]
        if explain:
            lines += [
                f"{report.file}:{rule.line}: {rule.engine}: {rule.rule}"
                + (f" ({rule.note})" if rule.note else "")
                for rule in report.engines
            ]
    n_errors = sum(report.n_errors for report in reports)
    n_warnings = sum(len(report.findings) for report in reports) - n_errors
    n_rules = sum(report.n_rules for report in reports)
    files = f"{len(reports)} file{'' if len(reports) == 1 else 's'}"
    lines.append(f"{files}, {n_rules} entries: {n_errors} errors, {n_warnings} warnings.")
    return "\n".join(lines)


def render_trial(trial: SuiteTrial) -> str:
    """Return each rule, met or not, with examples by source and line, and the verdict."""
    lines = []
    for rule in trial.rules:
        state = "met  " if rule.is_met else "UNMET"
        state = state if rule.is_evaluated else "-    "
        lines.append(f"  {state} {rule.severity:<8} {rule.rule}: {rule.observed} [{rule.engine}]")
        lines += [
            f"            {_place(row.source_file, row.source_line)} {row.row_id}" for row in rule.examples
        ]
    verdict = f"{trial.dataset} {trial.partition_key} ({trial.stage}) would be {trial.outcome}"
    lines.append(
        f"{verdict}: {trial.n_quarantined} of {trial.n_rows} rows in quarantine. Nothing was written."
    )
    lines += [f"  {reason}" for reason in trial.reasons[:_MOST]]
    return "\n".join(lines)


def render_difference(found: SuiteDifference) -> str:
    """Return what changed, rule by rule."""
    if not found.changes:
        return f"{found.new} asks the same as {found.old}."
    lines = [f"{found.old} -> {found.new}"]
    signs = {"added": "+", "removed": "-", "changed": "~"}
    for change in found.changes:
        effects = "" if change.kind != "changed" else f": {', '.join(change.effects)}"
        lines.append(f"{signs[change.kind]} {change.severity} {change.rule} (line {change.line}){effects}")
        lines += [f"    {_argument(argument, change.kind)}" for argument in change.changes]
    return "\n".join(lines)


def render_replay(found: Replay) -> str:
    """Return the nights that would have been decided otherwise, the rows, and the incidents missed."""
    lines = [
        f"{found.dataset}: {found.n_partitions} nights, {found.first} to {found.last}, {found.n_rows} rows.",
        f"baseline: {found.baseline}; edited: {found.edited}.",
    ]
    for what, keys in (
        ("newly blocked", found.newly_blocked),
        ("let through", found.let_through),
        ("newly warned", found.newly_warned),
        ("no longer warned", found.no_longer_warned),
    ):
        lines.append(f"  {what}: {_listed(keys)}")
    lines.append(
        f"  rows newly caught: {found.n_newly_caught:,}; no longer caught: {found.n_no_longer_caught:,}"
    )
    differing = [night for night in found.nights if not night.is_same]
    for night in differing[:_MOST]:
        lines += _night(night)
        lines += [
            f"      {row.direction.replace('_', ' ')}: {_place(row.source_file, row.source_line)} "
            f"{row.row_id} ({', '.join(row.rules)})"
            for row in found.examples
            if row.partition_key == night.partition_key
        ]
    if len(differing) > _MOST:
        lines.append(f"  and {len(differing) - _MOST} more nights; --json gives all.")
    for incident in found.now_missed:
        lines.append(f"  NOW MISSED ({incident.source}): {incident.partition_key}: {incident.what}")
    lines += [f"  not judged: {key}: {why}" for key, why in sorted(found.not_judged.items())[:_MOST]]
    known = f"{len(found.incidents)} known incidents, {len(found.now_missed)} of them missed by the edit"
    lines.append(f"{known}. Nothing was written.")
    return "\n".join(lines)


def _night(night: NightDifference) -> list[str]:
    lines = [
        f"    {night.partition_key}: {night.baseline.outcome} -> {night.edited.outcome}; "
        f"+{night.n_newly_caught} -{night.n_no_longer_caught} of {night.n_rows} rows"
    ]
    lines += [f"      + {count.n_rows} by {count.rule}" for count in night.newly_caught_by]
    lines += [f"      - {count.n_rows} by {count.rule}" for count in night.no_longer_caught_by]
    return lines


def _argument(change: ArgumentChange, kind: str) -> str:
    if kind == "added":
        return f"{change.argument}: {change.new}"
    if kind == "removed":
        return f"{change.argument}: {change.old}"
    old = "not set" if change.old is None else change.old
    new = "not set" if change.new is None else change.new
    return f"{change.argument}: {old} -> {new} ({change.effect})"


def _listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _MOST} more" if len(keys) > _MOST else ""
    return f"{', '.join(keys[:_MOST])}{more}" if keys else "none"


def _place(file: str | None, line: int | None) -> str:
    return f"{file or '?'}:{line if line is not None else '?'}"
