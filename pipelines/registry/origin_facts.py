"""What made a model, as labelled facts: the same in a card and in the passport of a row."""

from __future__ import annotations

from collections import Counter

from pipelines.pages.document import Fact
from pipelines.registry.decided import short, stamp
from pipelines.registry.row_passport import ModelOrigin


def origin_facts(model: ModelOrigin) -> list[Fact]:
    """Return the data, code, configuration, environment and runs that made a model."""
    trained = model.trained
    dirty = " with uncommitted changes (kept as uncommitted.patch)" if trained.is_dirty else ""
    return [
        Fact("candidate", trained.candidate, f"bundle {short(trained.bundle_digest)}"),
        Fact(
            "learned from",
            f"{trained.first_partition} to {trained.last_partition}",
            f"{trained.n_partitions} days, {trained.n_rows} rows; held out from {trained.holdout_first}",
        ),
        Fact("snapshot", short(trained.snapshot_digest), _digests(model)),
        Fact("suites", *_verdicts_of_days(model)),
        Fact("code", f"commit {trained.code_commit}{dirty}"),
        Fact("configuration", short(trained.config_digest), _recipe(model)),
        Fact("environment", short(trained.environment_digest), _packages(model)),
        Fact("asked for", trained.reason or "no reason given", f"as of {trained.partition_key}"),
        Fact("registered at", stamp(model.registered_at), f"MLflow run {trained.mlflow_run_id}"),
        Fact("Dag run", model.dag_run or "not known"),
    ]


def _digests(model: ModelOrigin) -> str:
    if model.days is None:
        return "its days can't be read"
    n_labelled = sum(day.labels_digest is not None for day in model.days)
    return f"over the digests of {len(model.days)} days of events and {n_labelled} of labels"


def _verdicts_of_days(model: ModelOrigin) -> tuple[str, str]:
    if model.days is None:
        return "not known", ""
    counts = Counter(day.outcome or "without a verdict on record" for day in model.days)
    suites = sorted({short(day.suite_digest) for day in model.days if day.suite_digest})
    text = ", ".join(f"{n} days {outcome}" for outcome, n in sorted(counts.items()))
    more = f" and {len(suites) - 3} more" if len(suites) > 3 else ""
    return text, f"suite {', '.join(suites[:3])}{more}" if suites else ""


def _recipe(model: ModelOrigin) -> str:
    training = (model.config or {}).get("training", {})
    return f"seed {training['seed']}" if "seed" in training else ""


def _packages(model: ModelOrigin) -> str:
    if model.environment is None:
        return "can't be read"
    lines = model.environment.splitlines()
    interpreter = next((line.lstrip("# ") for line in lines if line.startswith("#")), "")
    return f"{interpreter}, {sum('==' in line for line in lines)} packages"
