"""Labels that come late and change later: each night's figures are the oracle's, of what that night knew."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.metrics import evaluate_predictions
from pipelines.records import (
    PerformanceRecord,
    ReconciliationRecord,
    partition_date,
    partition_range,
    shift_partition,
)
from pipelines.steps.ingest import ingest
from pipelines.steps.reconcile import performance_as_known_at, reconcile

FIRST = "2013-01-01"
_PER_DAY = 40
_MATURITY = 60


class _Cohort(NamedTuple):
    """One day of predictions; each row's label, and the ages at which it comes and is corrected."""

    key: str
    predictions: np.ndarray
    labels: np.ndarray
    lags: np.ndarray
    corrected_at: np.ndarray

    @classmethod
    def draw(cls, key: str) -> _Cohort:
        random = np.random.default_rng(partition_date(key).toordinal())
        labels = random.integers(0, 2, _PER_DAY)
        predictions = np.clip(0.35 + 0.3 * labels + random.normal(0, 0.2, _PER_DAY), 0.01, 0.99)
        lags = random.integers(1, _MATURITY + 1, _PER_DAY)
        # A tenth is corrected, up to twenty days after it came, so also after maturity.
        is_corrected = random.random(_PER_DAY) < 0.1
        corrected_at = np.where(is_corrected, lags + random.integers(1, 21, _PER_DAY), 10**6)
        return cls(key, predictions, labels, lags, corrected_at)

    def known(self, night: str) -> tuple[np.ndarray, np.ndarray]:
        """Return which labels are in on a night, and what they are by then."""
        age = (partition_date(night) - partition_date(self.key)).days
        is_in = self.lags <= age
        return is_in, np.where(self.corrected_at <= age, 1 - self.labels, self.labels)

    def table(self, night: str) -> pa.Table:
        is_in, labels = self.known(night)
        rows = [f"{self.key}|{n:03d}" for n in np.flatnonzero(is_in)]
        labels = pa.array(labels[is_in], pa.int64())
        return pa.table({"row_id": pa.array(rows, pa.string()), "is_late": labels})

    def oracle(self, night: str) -> tuple[int, float | None]:
        is_in, labels = self.known(night)
        auc = evaluate_predictions(labels[is_in], self.predictions[is_in], "binary")["auc"]
        return int(is_in.sum()), None if np.isnan(auc) else auc


def _world(make_runtime, *, maturity=_MATURITY, **monitoring):
    overrides = {"label_maturity_days": maturity, "monitoring": monitoring}
    return make_runtime({"datasets": {"flights": overrides}})


def _predict(runtime, cohorts, version="1"):
    tables = {
        cohort.key: pa.table(
            {
                "row_id": [f"{cohort.key}|{n:03d}" for n in range(_PER_DAY)],
                "prediction": cohort.predictions,
                "model_version": [version] * _PER_DAY,
            }
        )
        for cohort in cohorts
    }
    runtime.lake.replace_many("flights", "predictions", tables)


def _deliver(runtime, cohorts, night):
    """Land the labels that are in on a night, as ingestion does: whole partitions, those that changed."""
    old_enough = [cohort for cohort in cohorts if cohort.key < night]
    runtime.lake.replace_many("flights", "labels", {c.key: c.table(night) for c in old_enough})


def _found(record):
    return (0, None) if record is None else (record.n_rows, record.metrics.get("auc"))


def test_every_night_knows_what_the_oracle_knows_of_every_cohort(make_runtime):
    runtime = _world(make_runtime)
    cohorts = [_Cohort.draw(key) for key in partition_range(FIRST, shift_partition(FIRST, 5))]
    # Until all are mature, and every correction has come.
    nights = partition_range(shift_partition(FIRST, 1), shift_partition(FIRST, 5 + _MATURITY + 21))
    _predict(runtime, cohorts)
    for night in nights:
        _deliver(runtime, cohorts, night)
        reconcile("flights", night, runtime=runtime)
    for night in nights:
        for cohort in cohorts:
            known = performance_as_known_at(runtime.ledger, "flights", cohort.key, night)
            assert _found(known) == cohort.oracle(night), f"{cohort.key} as known at {night}"
            age = (partition_date(night) - partition_date(cohort.key)).days
            assert known is None or known.is_mature == (age >= _MATURITY)
    final = [runtime.ledger.latest(PerformanceRecord, "flights", cohort.key) for cohort in cohorts]
    assert [record.n_rows for record in final] == [_PER_DAY] * len(cohorts)
    assert any(record.known_at > shift_partition(record.partition_key, _MATURITY) for record in final)


def test_nights_that_were_missed_are_made_up_for_by_the_next(make_runtime):
    runtime = _world(make_runtime, maturity=10)
    cohorts = [_Cohort.draw(key) for key in partition_range(FIRST, shift_partition(FIRST, 3))]
    _predict(runtime, cohorts)
    for age in (2, 30):
        night = shift_partition(FIRST, age)
        _deliver(runtime, cohorts, night)
        reconcile("flights", night, runtime=runtime)
    for cohort in cohorts:
        known = performance_as_known_at(runtime.ledger, "flights", cohort.key, night)
        assert (_found(known), known.is_mature) == (cohort.oracle(night), True)


def test_night_looks_only_at_cohorts_that_it_has_news_of(make_runtime):
    runtime = _world(make_runtime, maturity=5)
    cohorts = [_Cohort.draw(key) for key in partition_range(FIRST, shift_partition(FIRST, 39))]
    night = shift_partition(FIRST, 40)
    _predict(runtime, cohorts)
    _deliver(runtime, cohorts, night)
    reconcile("flights", night, runtime=runtime)
    corrected = cohorts[3]
    runtime.lake.replace("flights", "labels", corrected.key, corrected.table(shift_partition(FIRST, 90)))
    next_night = shift_partition(night, 1)
    reconcile("flights", next_night, runtime=runtime)
    state = runtime.ledger.latest(ReconciliationRecord, "flights", next_night)
    # The one that was corrected, however old, and the one that matured; none is a day old.
    assert state.cohorts == (corrected.key, shift_partition(next_night, -5))
    known = runtime.ledger.latest(PerformanceRecord, "flights", corrected.key)
    assert _found(known) == corrected.oracle(shift_partition(FIRST, 90))


def test_old_night_that_is_done_again_does_not_undo_what_later_ones_know(make_runtime):
    runtime = _world(make_runtime, maturity=10)
    cohort = _Cohort.draw(FIRST)
    _predict(runtime, [cohort])
    early, late = shift_partition(FIRST, 2), shift_partition(FIRST, 30)
    for night in (early, late):
        _deliver(runtime, [cohort], night)
        reconcile("flights", night, runtime=runtime)
    before = runtime.ledger.revisions(PerformanceRecord, "flights")
    state = runtime.ledger.latest(ReconciliationRecord, "flights")
    reconcile("flights", early, runtime=runtime)
    assert runtime.ledger.revisions(PerformanceRecord, "flights") == before
    assert runtime.ledger.latest(ReconciliationRecord, "flights") == state
    assert _found(performance_as_known_at(runtime.ledger, "flights", FIRST, early)) == cohort.oracle(early)


def test_labels_that_are_withdrawn_leave_a_record_without_figures(make_runtime):
    runtime = _world(make_runtime, maturity=1)
    cohort = _Cohort.draw(FIRST)
    _predict(runtime, [cohort])
    _deliver(runtime, [cohort], shift_partition(FIRST, 60))
    reconcile("flights", shift_partition(FIRST, 1), runtime=runtime)
    runtime.lake.replace("flights", "labels", FIRST, cohort.table(FIRST))
    reconcile("flights", shift_partition(FIRST, 2), runtime=runtime)
    known = runtime.ledger.latest(PerformanceRecord, "flights", FIRST)
    assert (known.n_rows, known.n_predictions, known.metrics) == (0, _PER_DAY, {})


def test_predictions_of_another_model_are_measured_anew(make_runtime):
    runtime = _world(make_runtime, maturity=60)
    cohort = _Cohort.draw(FIRST)
    night = shift_partition(FIRST, 60)
    _predict(runtime, [cohort])
    _deliver(runtime, [cohort], night)
    reconcile("flights", night, runtime=runtime)
    better = cohort._replace(predictions=np.where(cohort.known(night)[1] == 1, 0.9, 0.1))
    _predict(runtime, [better], version="2")
    next_night = shift_partition(night, 1)
    reconcile("flights", next_night, runtime=runtime)
    figures = {
        version: _found(
            performance_as_known_at(runtime.ledger, "flights", FIRST, next_night, model_version=version)
        )
        for version in ("1", "2")
    }
    assert figures == {"1": cohort.oracle(night), "2": better.oracle(night)}


def test_correction_that_the_source_brings_is_measured_the_same_night(bikes):
    """From the file to the figure: ingestion lands the corrected day anew, and reconcile notices."""
    days = partition_range("2011-01-05", "2011-01-08")
    for day in days[:-1]:
        ingest("bikes", day, runtime=bikes)
    labels = bikes.lake.read("bikes", "labels", partitions=[days[1]])
    rows = labels.select(["row_id"]).append_column("prediction", pc.cast(labels["cnt"], pa.float64()))
    rows = rows.append_column("model_version", pa.array(["1"] * rows.num_rows))
    bikes.lake.replace("bikes", "predictions", days[1], rows)
    assert reconcile("bikes", days[2], runtime=bikes).metrics["rmse"] == 0.0
    path = next(bikes.settings.sources.rglob("hour.csv"))
    header, *lines = path.read_text().splitlines()
    corrected = next(n for n, line in enumerate(lines) if f",{days[1]}," in line)
    before, count = lines[corrected].rsplit(",", 1)
    lines[corrected] = f"{before},{int(count) + 24}"
    path.write_text("\n".join([header, *lines]) + "\n")
    ingest("bikes", days[3], runtime=bikes)
    reconcile("bikes", days[3], runtime=bikes)
    known = {
        night: performance_as_known_at(bikes.ledger, "bikes", days[1], night).metrics["rmse"]
        for night in days[2:]
    }
    # One of 24 hours is off by 24.
    assert known == {days[2]: 0.0, days[3]: pytest.approx(24 / 24**0.5)}


@pytest.mark.parametrize("change", ["label_maturity_days", "label_delay_days"])
def test_other_rules_measure_the_last_cohorts_anew(make_runtime, tmp_path, change):
    runtime = _world(make_runtime, maturity=3)
    cohort = _Cohort.draw(FIRST)
    night = shift_partition(FIRST, 3)
    _predict(runtime, [cohort])
    _deliver(runtime, [cohort], shift_partition(FIRST, 60))
    reconcile("flights", night, runtime=runtime)
    rules = {"label_maturity_days": 5} | ({"label_delay_days": 2} if change == "label_delay_days" else {})
    other = make_runtime({"datasets": {"flights": rules}}, home=tmp_path / "home")
    reconcile("flights", night, runtime=other)
    assert other.ledger.latest(PerformanceRecord, "flights", FIRST).is_mature is False
