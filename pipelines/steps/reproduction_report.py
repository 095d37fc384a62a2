"""How a repeated training reads on a terminal."""

from __future__ import annotations

from pipelines.records import Reproduction

_MAX_NAMED = 12
_SHORT = 16


def render_reproduction(found: Reproduction) -> str:
    """Return what was rebuilt, from what, and which bytes differ and why, a fact a line."""
    verdict = "the same bytes" if found.is_identical else "NOT the same bytes"
    lines = [
        f"{found.dataset} v{found.model_version} ({found.candidate}), rebuilt: {verdict}.",
        f"  bundle       {found.rebuilt_digest[:_SHORT]} (on record: {found.bundle_digest[:_SHORT]})",
        f"  files        {sum(f.is_same for f in found.files)} of {len(found.files)} alike",
        f"  snapshot     {found.n_days} days; files {_sources(found)}",
        f"  code         commit {found.code_commit[:_SHORT]}{_patch(found)}{_confirmed(found)}",
        f"  environment  {_environment(found)}",
    ]
    lines += _cache(found)
    if not found.is_identical:
        lines += _differences(found)
    return "\n".join(lines)


def _sources(found: Reproduction) -> str:
    names = {"cache": "the DVC cache", "remote": "the DVC remote", "lake": "the lake"}
    return ", ".join(f"{n} from {names[source]}" for source, n in sorted(found.sources.items()))


def _patch(found: Reproduction) -> str:
    return " + the uncommitted changes on record" if found.is_dirty else ""


def _confirmed(found: Reproduction) -> str:
    return "" if found.is_code_confirmed else " (NOT the tree that the training's key was made of)"


def _environment(found: Reproduction) -> str:
    if not found.environment_changes:
        return "the same packages"
    more = len(found.environment_changes) - _MAX_NAMED
    named = "; ".join(found.environment_changes[:_MAX_NAMED])
    return f"differs: {named}{f' and {more} more' if more > 0 else ''}"


def _cache(found: Reproduction) -> list[str]:
    lines = []
    if found.damaged:
        lines.append(
            f"  DVC cache    {len(found.damaged)} damaged object(s) taken out: {_named(found.damaged)}"
        )
    if found.missing:
        lines.append(f"  DVC cache    {len(found.missing)} object(s) were missing: {_named(found.missing)}")
    if found.lost:
        lines.append(
            f"  DVC remote   has no good copy of {_named(found.lost)}: push from a machine that has, or "
            "remove the damaged copy there and train again"
        )
    elif found.damaged or found.missing:
        lines.append("  DVC remote   gave back all of them")
    return lines


def _differences(found: Reproduction) -> list[str]:
    lines = ["What differs"]
    for file in [file for file in found.files if not file.is_same][:_MAX_NAMED]:
        rebuilt = file.rebuilt[:_SHORT] or "not made"
        lines.append(f"  {file.path}: {rebuilt} (on record: {file.recorded[:_SHORT]})")
    lines.append(f"Why: {_why(found)}")
    if found.kept_at:
        lines.append(f"What was rebuilt is kept at {found.kept_at}")
    return lines


def _why(found: Reproduction) -> str:
    if not found.is_code_confirmed:
        return "the code on record is not what the model was made of."
    if found.environment_changes:
        return (
            "the environment is another one, as named above. Install the packages of lineage/environment.txt "
            "of the model's run, and try again."
        )
    return (
        "code, days, configuration and packages are the same. What is left is the machine (another kind of "
        "processor), or a stage that does not repeat."
    )


def _named(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return ", ".join(paths[:_MAX_NAMED]) + more
