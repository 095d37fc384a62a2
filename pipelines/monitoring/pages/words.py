"""What the pages call the states, kinds and measures that the records name."""

from __future__ import annotations

from pipelines.records import ColumnDrift, DriftRecord

METHODS = {
    "wasserstein": "Wasserstein, standard deviations",
    "jensenshannon": "Jensen-Shannon distance",
    "missing_share": "Share of missing values",
    "new_levels": "Share of levels never seen",
    "domain_auc": "Told from the reference (AUC above ½)",
}
# What a distance says, in a sentence; of shares as percentages.
MOVES = {
    "wasserstein": "its values moved {} standard deviations from the reference (Wasserstein distance)",
    "jensenshannon": "the mix of its levels moved by {} (Jensen-Shannon distance)",
    "missing_share": "its share of missing values changed by {}",
    "new_levels": "{} more of its values are levels that the reference does not know",
}
SHARES = frozenset({"missing_share", "new_levels"})
MOVED = {"promote": "promoted", "rollback": "rolled back to"}
STATISTICS = {
    "ks": "Kolmogorov-Smirnov",
    "psi": "Population stability index",
    "jensenshannon": "Jensen-Shannon distance",
    "wasserstein": "Wasserstein (standard deviations)",
    "chi_square": "Chi-square per degree of freedom",
}
KINDS = {
    "data": "features",
    "prediction": "predictions",
    "label": "labels",
    "concept": "performance on labels",
}
ACTIONS = {
    "none": "Nothing needs to be done.",
    "record": "It is recorded. Nothing suggests that the model is worse for it: no page, no retraining.",
    "retrain": "A new model is asked for, within cooldown and budget.",
    "investigate": "A person has to look: this looks like a fault of the data. No model is retrained on it.",
}
ACTION_NAMES = {"record": "recorded", "retrain": "retraining", "investigate": "for a person"}
SIGNATURES = {
    "unit_change": "a changed unit",
    "offset": "a shifted zero",
    "sign_flip": "a flipped sign",
    "null_flood": "a flood of missing values",
    "sentinel_flood": "a flood of one fill value",
    "level_renamed": "a renamed level",
    "stuck_value": "a value that is stuck",
    "swapped_columns": "two columns swapped",
}
STATUSES = {
    "requested": "asked for",
    "training": "being trained",
    "registered": "at the gates",
    "promoted": "promoted",
    "refused": "refused at the gates",
    "failed": "failed",
    "suppressed": "suppressed",
}


def state_of(record: DriftRecord) -> tuple[str, str]:
    """Return the state of a verdict, as the style of its badge, and in a word or two."""
    if record.is_confirmed:
        style = "info" if record.action == "record" else _style(record)
        return style, "Drift, recorded" if record.action == "record" else "Drift, confirmed"
    if record.is_alarm:
        return _style(record), "Drift, not confirmed yet"
    return "calm", "Calm"


def headline(record: DriftRecord) -> str:
    """Return a verdict in one line."""
    if record.is_confirmed:
        nights = "1 night" if record.n_alarm_nights == 1 else f"{record.n_alarm_nights} nights"
        return f"Drift, confirmed on {nights}"
    return "Drift alarm, not confirmed yet" if record.is_alarm else "Calm"


def ratio(drift: ColumnDrift) -> float:
    """Return how many times its floor a column has moved; a floor of zero counts as a very low one."""
    return drift.distance / max(drift.threshold, 1e-9)


def _style(record: DriftRecord) -> str:
    return "critical" if record.severity == "critical" else "warning"
