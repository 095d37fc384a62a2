"""A month on record, as the pages show it: calm nights, then a drift that costs performance, and its episode.

The ledger, the episode, the distributions and the files of the reports are made by the project's own
functions; the verdicts are given, so that every state has its night.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipelines.config import load_params, load_settings
from pipelines.monitoring.report import column_histograms, write_report
from pipelines.monitoring.sketch import TableSketch, learn_grid, sketch_table
from pipelines.records import (
    ChampionMove,
    ColumnDrift,
    ConceptDrift,
    DriftRecord,
    IngestionRecord,
    LevelDrift,
    PerformanceEstimate,
    PerformanceRecord,
    ScoringRecord,
    ValidationRecord,
    now_utc,
    partition_range,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.episodes import follow_episode
from pipelines.steps.night import draw_night
from pipelines.steps.retrain import decide_retraining

DATASET = "trips"
FIRST, LAST = "2013-06-12", "2013-07-11"
NIGHTS = partition_range(FIRST, LAST)
# The first night on which the world is another one.
CHANGED = "2013-07-07"
HOSTILE = "</script><script>document.title='owned'</script>"
NUMERIC = ("temp", "humidity", "wind_speed", "visibility", "distance", "seats", "late_rate_7d", HOSTILE)
CATEGORICAL = ("carrier", "origin", "dest")
_IMPORTANCE = {"late_rate_7d": 0.34, "temp": 0.22, "carrier": 0.12, "distance": 0.09, "humidity": 0.08}
_SHIFTS = {"temp": 0.9, "humidity": 0.45, "late_rate_7d": 0.6, HOSTILE: 0.2}
REASON = "The rate of late trips in the last week rose by 0.6 standard deviations; the model leans on it."


def make_watched_world(home: Path) -> Runtime:
    """Return a Runtime on a month that is on record, all of it below ``home``."""
    home.mkdir(parents=True)
    params = home / "params.yaml"
    params.write_text(yaml.safe_dump({"datasets": {DATASET: _config()}}), encoding="utf-8")
    settings = load_settings({"HOLDFAST_HOME": str(home), "HOLDFAST_PARAMS": str(params)})
    runtime = Runtime(settings=settings, params=load_params(params))
    runtime.ledger.champions.move(_champion())
    reference = _table(20_000, seed=0)
    grid = learn_grid(reference, numeric=list(NUMERIC), categorical=list(CATEGORICAL))
    known = sketch_table(reference, grid)
    for number, night in enumerate(NIGHTS):
        record_night(runtime, night, number, known)
    return runtime


def record_night(runtime: Runtime, night: str, number: int, reference: TableSketch) -> None:
    """Put one night on record, and draw it."""
    for record in _before_the_verdict(night, number):
        runtime.ledger.record(record)
    verdict = verdict_of(night, number)
    folder = runtime.settings.reports / DATASET / night
    current = sketch_table(_table(2_000, seed=number + 1, is_changed=night >= CHANGED), reference.grid)
    write_report(
        folder,
        record=verdict,
        performance=None,
        pages={},
        columns=column_histograms(reference, current),
    )
    runtime.ledger.record(verdict)
    follow_episode(verdict, runtime=runtime)
    decide_retraining(DATASET, night, runtime=runtime)
    draw_night(DATASET, night, runtime=runtime)


def draw_with_evidently(runtime: Runtime, night: str = LAST) -> None:
    """Have Evidently draw its own report of a night too (it takes seconds to import)."""
    from pipelines.monitoring.evidently_report.drawing import drift_page

    reference, current = _table(2_000, seed=0), _table(1_000, seed=1, is_changed=night >= CHANGED)
    verdict = runtime.ledger.latest(DriftRecord, DATASET, night)
    assert verdict is not None
    page = drift_page(reference, current, record=verdict, config=runtime.dataset(DATASET))
    grid = learn_grid(reference, numeric=list(NUMERIC), categorical=list(CATEGORICAL))
    histograms = column_histograms(sketch_table(reference, grid), sketch_table(current, grid))
    folder = runtime.settings.reports / DATASET / night
    write_report(folder, record=verdict, performance=None, pages={"drift": page}, columns=histograms)
    draw_night(DATASET, night, runtime=runtime)


def _config() -> dict[str, Any]:
    return {
        "description": "Will this trip be late?",
        "task": "binary",
        "source": {"kind": "csv", "tables": {"rows": "trips.csv"}},
        "key": ["id"],
        "event_time": "at",
        "columns": {"id": "integer", "at": "timestamp"},
        "target": "y",
        "labels": {"y": "integer"},
        "features": {"sql": "trips.sql", "numeric": list(NUMERIC), "categorical": list(CATEGORICAL)},
    }


def _champion() -> ChampionMove:
    return ChampionMove(
        dataset=DATASET,
        sequence=1,
        model_version="3",
        previous_version=None,
        action="promote",
        actor="gates",
        reason="Better than none by 0.21 AUC.",
        evidence_digest="e",
        partition_key=FIRST,
        moved_at=now_utc(),
    )


def _table(n_rows: int, *, seed: int, is_changed: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    shifts = _SHIFTS if is_changed else {}
    columns: dict[str, Any] = {
        name: rng.normal(20.0 + 5.0 * shifts.get(name, 0.0), 5.0, n_rows) for name in NUMERIC
    }
    weights = {"carrier": (0.42, 0.3, 0.2, 0.08), "origin": (0.4, 0.35, 0.25), "dest": (0.5, 0.3, 0.2)}
    for name, chances in weights.items():
        turned = chances[::-1] if is_changed and name == "carrier" else chances
        columns[name] = [f"{name[:2].upper()}{code}" for code in rng.choice(len(chances), n_rows, p=turned)]
    return pa.table(columns)


def _before_the_verdict(night: str, number: int) -> list[Any]:
    rng = np.random.default_rng(1000 + number)
    about = {"dataset": DATASET, "partition_key": night}
    n_rows = 900 + int(rng.integers(0, 60))
    labelled = shift_partition(night, -1)
    metric = 0.752 + rng.normal(0, 0.008) - (0.06 if labelled >= CHANGED else 0.0)
    return [
        IngestionRecord(**about, source_uri="trips.csv", raw_digest="r", n_rows=n_rows, duration_seconds=1.8),
        ValidationRecord(
            **about,
            raw_digest="r",
            suite_digest="s",
            outcome="passed",
            n_in=n_rows,
            n_published=n_rows - 3,
            n_quarantined=3,
            validated_digest="v",
            engines={"duckdb": 21, "great_expectations": 2},
            duration_seconds=2.4,
        ),
        ScoringRecord(
            **about,
            model_version="3",
            bundle_digest="b",
            validated_digest="v",
            features_digest="f",
            predictions_digest="p",
            n_rows=n_rows - 3,
            device="cpu",
            duration_seconds=0.9,
        ),
        PerformanceRecord(
            dataset=DATASET,
            partition_key=labelled,
            model_version="3",
            known_at=night,
            labels_digest="l",
            predictions_digest="p",
            n_rows=n_rows - 3,
            n_predictions=n_rows - 3,
            metrics={"auc": metric, "log_loss": 0.49},
        ),
    ]


def verdict_of(night: str, number: int) -> DriftRecord:
    """Return the verdict on the n-th night."""
    rng = np.random.default_rng(number)
    age = max(0, NIGHTS.index(night) - NIGHTS.index(CHANGED) + 1)
    strength = min(1.0, age / 3)
    columns = tuple(_column(name, strength, rng) for name in (*NUMERIC, *CATEGORICAL))
    is_alarm = age > 0
    estimate = 0.751 + rng.normal(0, 0.004) - 0.05 * strength
    return DriftRecord(
        dataset=DATASET,
        partition_key=night,
        model_version="3",
        window=(shift_partition(night, -6), night),
        columns=columns,
        prediction=_drift("prediction", 0.02 + 0.3 * strength, 0.1, is_alarm),
        joint=_drift("joint", 0.01 + 0.2 * strength, 0.05, is_alarm, method="domain_auc"),
        concept=_concept(night, age),
        estimate=PerformanceEstimate(
            metric="auc",
            value=estimate,
            lower=estimate - 0.018,
            upper=estimate + 0.018,
            confidence=0.9,
            reference_value=0.755,
            expected_loss=max(0.0, 0.755 - estimate),
            is_worse=age > 1,
            method="confidence",
        ),
        kinds=("data", "prediction", "concept") if age > 1 else ("data", "prediction") if age else (),
        severity="none" if not age else "critical" if age > 2 else "warning",
        is_alarm=is_alarm,
        is_confirmed=age > 1,
        n_alarm_nights=age,
        action="none" if age < 2 else "retrain",
        reasons=(REASON, "On mature labels the AUC is 0.69, where the holdout had 0.755.") if age else (),
        is_page=age > 1,
        expected_loss=0.05 * strength if age else None,
        evidently_fraction=0.1 + 0.5 * (age > 0),
        evidently_alarm=bool(age > 0 or number % 3 == 0),
        calibration_digest="c",
        duration_seconds=3.1,
    )


def _column(name: str, strength: float, rng: np.random.Generator) -> ColumnDrift:
    is_category = name in CATEGORICAL
    floor = 0.05 if is_category else 0.1
    shift = (0.22 if name == "carrier" else 0.0) if is_category else _SHIFTS.get(name, 0.0)
    distance = abs(rng.normal(0.03, 0.02)) + shift * strength
    if name == "wind_speed" and not strength:
        distance *= 4
    is_drifted = shift * strength > floor
    return ColumnDrift(
        column=name,
        method="jensenshannon" if is_category else "wasserstein",
        distance=distance,
        threshold=floor,
        is_drifted=is_drifted,
        p_value=1e-7 if is_drifted else 0.4,
        q_value=1e-6 if is_drifted else 0.9,
        statistics={"ks": 0.4 * distance, "psi": distance**2, "jensenshannon": 0.3 * distance},
        levels=_levels(strength) if name == "carrier" else (),
        importance=_IMPORTANCE.get(name, 0.02),
        impact=_IMPORTANCE.get(name, 0.02) * distance if is_drifted else 0.0,
    )


def _levels(strength: float) -> tuple[LevelDrift, ...]:
    chances = (0.42, 0.3, 0.2, 0.08)
    return tuple(
        LevelDrift(
            level=f"CA{code}",
            reference_share=before,
            current_share=before + strength * (after - before),
            p_value=1e-6 if strength else 0.5,
        )
        for code, (before, after) in enumerate(zip(chances, chances[::-1], strict=True))
    )


def _drift(
    name: str, distance: float, floor: float, is_drifted: bool, method: str = "wasserstein"
) -> ColumnDrift:
    q_value = 0.0004 if is_drifted else 0.8
    return ColumnDrift(
        column=name,
        method=method,
        distance=distance,
        threshold=floor,
        is_drifted=is_drifted and distance >= floor,
        p_value=q_value,
        q_value=q_value,
    )


def _concept(night: str, age: int) -> ConceptDrift:
    is_drifted = age > 1
    return ConceptDrift(
        metric="auc",
        value=0.691 if is_drifted else 0.749,
        reference_value=0.755,
        loss=0.064 if is_drifted else 0.006,
        p_value=0.0006 if is_drifted else 0.4,
        n_days=3,
        n_rows=2750,
        first_partition=shift_partition(night, -3),
        last_partition=shift_partition(night, -1),
        is_drifted=is_drifted,
        severity="critical" if age > 2 else "warning" if is_drifted else "none",
    )
