"""What made a model, and who made it champion: the record, and how it reads on a terminal."""

from __future__ import annotations

from typing import Any

from pipelines.records import ChampionMove, GateRecord, Record, TrainedModel

_NAME_WIDTH = 14
_DIGEST_CHARS = 16


class ModelPassport(Record):
    """All that is on record about one model version.

    ``trained`` says which days, code, configuration and environment made it, by digest;
    ``n_digests`` how many partitions of each table are behind the snapshot's digest, ``config`` is
    the configuration itself, and ``artifacts_uri`` where all of it lies. ``is_intact`` says of each
    part whether what lies there still has the digest on record. ``promotion`` is the move that last
    made it champion, ``evidence`` the gates of that promotion (else the latest), ``history`` every
    move of the dataset's champion.
    """

    dataset: str
    model_version: str
    aliases: tuple[str, ...]
    trained: TrainedModel
    n_digests: dict[str, int]
    config: dict[str, Any]
    golden_digest: str
    artifacts_uri: str
    is_intact: dict[str, bool]
    evidence: GateRecord | None
    promotion: ChampionMove | None
    history: tuple[ChampionMove, ...]


def render_passport(passport: ModelPassport) -> str:
    """Return the passport as plain text, a fact a line."""
    aliases = "".join(f" @{alias}" for alias in passport.aliases)
    sections = [
        [f"{passport.dataset} v{passport.model_version}{aliases}"],
        _made_from(passport),
        _measured(passport),
        _decided(passport),
        _history(passport),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections)


def _made_from(passport: ModelPassport) -> list[str]:
    trained = passport.trained
    digests = ", ".join(f"{n} {table}" for table, n in passport.n_digests.items())
    dirty = " + uncommitted changes (uncommitted.patch)" if trained.is_dirty else ""
    return [
        "Made from",
        _fact(
            "data",
            f"{trained.first_partition} to {trained.last_partition}, held out from {trained.holdout_first}",
        ),
        _fact("", f"{trained.n_partitions} days, {trained.n_rows} rows"),
        _fact(
            "snapshot",
            f"{_short(trained.snapshot_digest)} over the digests of {digests or 'no'} partitions"
            f"{_state(passport, 'snapshot')}",
        ),
        _fact("code", f"commit {trained.code_commit}{dirty}"),
        _fact("configuration", f"{_short(trained.config_digest)}{_state(passport, 'configuration')}"),
        _fact("environment", f"{_short(trained.environment_digest)}{_state(passport, 'environment')}"),
        _fact("kept at", f"{passport.artifacts_uri}/lineage"),
        _fact("reason", trained.reason or "none given"),
    ]


def _measured(passport: ModelPassport) -> list[str]:
    trained = passport.trained
    return [
        "The model",
        _fact("candidate", trained.candidate),
        _fact("bundle", f"{_short(trained.bundle_digest)}{_state(passport, 'bundle')}"),
        _fact("golden rows", _short(passport.golden_digest)),
        _fact("MLflow run", trained.mlflow_run_id),
        *[_fact(name, f"{value:.6g}") for name, value in sorted(trained.metrics.items())],
    ]


def _decided(passport: ModelPassport) -> list[str]:
    move, evidence = passport.promotion, passport.evidence
    lines = ["Decided"]
    if move is None:
        lines.append(_fact("champion", "never"))
    else:
        verb = "promoted" if move.action == "promote" else "brought back"
        lines += [
            _fact(
                verb, f"by {move.actor} at {move.moved_at:%Y-%m-%d %H:%M:%S} UTC, for {move.partition_key}"
            ),
            _fact("reason", move.reason),
        ]
    if evidence is None:
        return [*lines, _fact("evidence", "its gates were not evaluated yet")]
    lines.append(_fact("evidence", _short(evidence.digest)))
    for gate in evidence.gates:
        verdict = "pass" if gate.is_passed else "FAIL"
        lines.append(f"    {verdict}  {gate.name}: {gate.observed} (required: {gate.required})")
    return lines


def _history(passport: ModelPassport) -> list[str]:
    lines = [f"Champions of {passport.dataset}"]
    for move in passport.history:
        mark = "*" if move.model_version == passport.model_version else " "
        lines.append(
            f"  {mark} {move.sequence}. {move.action} v{move.model_version} for {move.partition_key}, "
            f"{move.moved_at:%Y-%m-%d %H:%M:%S} UTC, by {move.actor}: {move.reason}"
        )
    return lines if passport.history else [*lines, "    none yet"]


def _fact(name: str, value: str) -> str:
    return f"  {name:<{_NAME_WIDTH}}  {value}"


def _short(digest: str) -> str:
    return digest[:_DIGEST_CHARS]


def _state(passport: ModelPassport, part: str) -> str:
    return ", checked" if passport.is_intact.get(part) else ", NOT WHAT WAS RECORDED"
