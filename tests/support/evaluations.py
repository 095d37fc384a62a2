"""An evaluation with something in every part, for what reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.records import (
    BaselineMeasure,
    CalibrationBin,
    CalibrationMeasure,
    Evaluation,
    FairnessGap,
    FeatureImportance,
    Importance,
    LabelNoise,
    Measured,
    RetrainingNoise,
    Selection,
    SliceMeasure,
    Speed,
    StressResult,
)


def evaluation(**changes: Any) -> Evaluation:
    """Return an evaluation of a binary task; ``changes`` replace fields of it."""
    plain: dict[str, Any] = {
        "dataset": "toy",
        "task": "binary",
        "candidate": "stumps",
        "bundle_digest": "b" * 64,
        "metric": "auc",
        "greater_is_better": True,
        "first_day": "2013-01-09",
        "last_day": "2013-01-12",
        "n_days": 4,
        "n_rows": 400,
        "unit": "days",
        "n_units": 4,
        "confidence": 0.9,
        "interval_method": "jackknife over days, Student's t",
        "metrics": {
            "auc": Measured(value=0.75, lower=0.7, upper=0.8),
            "brier": Measured(value=0.2, lower=0.18, upper=0.22),
        },
        "calibration": CalibrationMeasure(
            of="the probability of 1",
            error=Measured(value=0.03, lower=0.02, upper=0.05),
            luck=0.02,
            bias=Measured(value=0.01, lower=-0.01, upper=0.03),
            slope=Measured(value=0.9, lower=0.8, upper=1.1),
            intercept=Measured(value=-0.1, lower=-0.2, upper=0.1),
            bins=(
                CalibrationBin(mean_prediction=0.1, mean_target=0.12, n=200),
                CalibrationBin(mean_prediction=0.6, mean_target=0.55, n=200),
            ),
        ),
        "slices": (
            SliceMeasure(
                kind="declared",
                where={"carrier": "UA"},
                n_rows=120,
                metric=Measured(value=0.7, lower=0.6, upper=0.8),
                excess_loss=Measured(value=0.02, lower=-0.01, upper=0.05),
                p_value=0.4,
            ),
            SliceMeasure(
                kind="discovered",
                where={"distance": "500 to 900", "carrier": "<b>AA</b>"},
                n_rows=60,
                metric=Measured(value=0.55, lower=0.5, upper=0.6),
                excess_loss=Measured(value=0.2, lower=0.1, upper=0.3),
                p_value=0.001,
                is_worse=True,
            ),
        ),
        "n_slices_looked_at": 12,
        "fairness": (
            FairnessGap(
                column="carrier",
                measure="true_positive_rate",
                gap=Measured(value=0.1, lower=0.02, upper=0.18),
                highest_level="UA",
                highest=0.6,
                lowest_level="AA",
                lowest=0.5,
                n_levels=2,
                threshold=0.5,
            ),
        ),
        "stress": (
            StressResult(
                kind="noise", amount=0.1, n_columns=2, metric=0.74, loss=0.01, moved=0.02, is_finite=True
            ),
        ),
        "baselines": (
            BaselineMeasure(
                kind="prior",
                what="the mean of the past",
                coverage=1.0,
                metrics={"auc": 0.5, "brier": 0.25},
                gain=Measured(value=0.25, lower=0.2, upper=0.3),
            ),
        ),
        "importance": Importance(
            method="SHAP, by permutations",
            unit="probability",
            n_rows=20,
            n_background=10,
            features=(FeatureImportance(column="distance", value=0.1, share=1.0),),
        ),
        "label_noise": LabelNoise(
            method="confident learning",
            share=0.05,
            surest_contradicted=0.02,
            n_rows=4_000,
            n_folds=3,
            by_class={"0": 0.04, "1": 0.06},
            suspects=("2013-01-03|7",),
        ),
        "retraining_noise": RetrainingNoise(
            values=(0.74, 0.75, 0.76, 0.75), standard_deviation=0.0082, ratio=1.5
        ),
        "plots": {"Calibration": "plots/calibration.csv"},
        "not_measured": {"fairness.origin": "only one level has 50 rows or more"},
    }
    return Evaluation.model_validate({**plain, **changes})


def speed() -> Speed:
    """Return how fast a model was somewhere."""
    return Speed(
        device="cpu",
        n_threads=1,
        machine="x86_64, 2 cores",
        open_seconds=0.02,
        row_seconds=0.001,
        row_seconds_p95=0.002,
        n_calls=100,
        rows_per_second=500_000.0,
        n_rows=100_000,
    )


def selection(**changes: Any) -> Selection:
    """Return what a search over two kinds of model found; ``changes`` replace fields of it."""
    trials = [
        trial(0, "stumps", auc=0.7),
        trial(1, "line", auc=0.6),
        trial(2, "stumps", {"rate": 0.125, "leaves": 7}, auc=0.74),
        trial(3, "line", {"penalty": 2.5}, state="pruned"),
        trial(4, "stumps", {"rate": 3.0}, state="failed", said="it <b>diverged</b>"),
    ]
    search = {
        "metric": "auc",
        "greater_is_better": True,
        "best_trial": 2,
        "n_trials": 5,
        "n_pruned": 1,
        "n_failed": 1,
        "budget": {"trials": 5, "minutes": 20.0, "is_pruned": True},
        "seed": 77,
    }
    plain: dict[str, Any] = {
        "candidate": "stumps",
        "validation": {"stumps": {"auc": 0.74, "n": 80.0}, "line": {"auc": 0.6, "n": 80.0}},
        "n_train_rows": 900,
        "search": search,
        "trials": trials,
    }
    return Selection.model_validate({**plain, **changes})


def trial(
    number: int,
    candidate: str,
    parameters: dict[str, float] | None = None,
    *,
    state: str = "complete",
    said: str = "",
    **metrics: float,
) -> dict[str, Any]:
    """Return one trial of a search, as its record takes it."""
    return {
        "number": number,
        "candidate": candidate,
        "parameters": parameters or {},
        "state": state,
        "n_rounds": 10,
        "metrics": metrics,
        "said": said,
    }


PLOTS = {
    "roc.csv": '"false_positive_rate","true_positive_rate"\n0,0\n0.1,0.5\n1,1\n',
    "precision_recall.csv": '"recall","precision","chance"\n0.5,0.8,0.3\n1,0.3,0.3\n',
    "residuals.csv": '"prediction","residual"\n',
    "by_day.csv": '"partition_key","auc","n"\n"2013-01-09",0.7,100\n"2013-01-10",nan,100\n',
}


def write_plots(folder: Path, plots: dict[str, str] | None = None) -> None:
    """Write the plots of a binary task, or others, as a training leaves them."""
    folder.mkdir(parents=True)
    for name, text in (plots or PLOTS).items():
        (folder / name).write_text(text)
