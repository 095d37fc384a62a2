"""The figures for a monitoring system are those of the ledger, at each scrape, over real HTTP."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from watched_ledger import DATASET, NIGHT, fill, measured, scoring, validation, verdict

from pipelines.config import load_settings
from pipelines.errors import ConfigError
from pipelines.monitoring.telling.exporter import exporter
from pipelines.monitoring.telling.gauges import GAUGES
from pipelines.records import shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.metrics import collect


def scrape(runtime: Runtime) -> dict[tuple[str, frozenset], float]:
    with exporter(lambda: collect(runtime), host="127.0.0.1", port=0) as (server, _):
        text = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items()) - {("dataset", DATASET)}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_every_figure_is_exported_with_its_meaning_and_value(runtime):
    fill(runtime.ledger)
    samples = scrape(runtime)
    assert {name for name, _ in samples} == set(GAUGES)
    assert value(samples, "holdfast_ledger_up") == 1
    assert value(samples, "holdfast_champion_info", version="4") == 1
    assert value(samples, "holdfast_nights", outcome="passed") == 29
    assert value(samples, "holdfast_nights", outcome="warned") == 1
    assert value(samples, "holdfast_quarantine_ratio") == 0.05
    assert value(samples, "holdfast_scored_rows") == 950
    assert value(samples, "holdfast_scoring_duration_seconds") == 2.5
    assert value(samples, "holdfast_scored_age_seconds") == pytest.approx(3 * 3600, abs=120)
    assert value(samples, "holdfast_scored_night_timestamp_seconds") == 1_373_414_400
    assert value(samples, "holdfast_drift_severity") == 2
    assert value(samples, "holdfast_drift_kind", kind="data") == 1
    assert value(samples, "holdfast_drift_kind", kind="concept") == 0
    assert value(samples, "holdfast_drift_columns") == 1
    assert value(samples, "holdfast_drift_watched_columns") == 2
    assert value(samples, "holdfast_drift_max_effect_ratio") == 5
    assert value(samples, "holdfast_evidently_alarm") == 1
    assert value(samples, "holdfast_performance_estimated", metric="auc") == 0.7
    assert value(samples, "holdfast_performance_promised", metric="auc") == 0.75
    assert value(samples, "holdfast_performance_measured", metric="auc") == 0.69
    assert value(samples, "holdfast_expected_loss", metric="auc") == 0.04
    assert value(samples, "holdfast_estimate_coverage_ratio") == 0.75
    assert value(samples, "holdfast_episodes_open") == 1
    assert value(samples, "holdfast_nights_to_detect") == 1.5
    assert value(samples, "holdfast_nights_to_repair") == 7
    assert value(samples, "holdfast_retrainings_30_days") == 1
    assert value(samples, "holdfast_retraining_budget_left") == 3
    assert value(samples, "holdfast_breaker_open") == 0
    assert value(samples, "holdfast_messages_unsent") == 1


def test_a_scrape_sees_what_came_since_the_one_before(runtime):
    fill(runtime.ledger)
    scrape(runtime)
    runtime.ledger.record(measured(shift_partition(NIGHT, -2), 0.8, is_mature=True))
    runtime.ledger.record(verdict(NIGHT).model_copy(update={"severity": "critical"}))
    samples = scrape(runtime)
    assert value(samples, "holdfast_performance_measured", metric="auc") == 0.8
    assert value(samples, "holdfast_drift_severity") == 3


def test_a_correction_of_an_earlier_night_is_not_taken_for_the_newest(runtime):
    fill(runtime.ledger)
    earlier = shift_partition(NIGHT, -20)
    runtime.ledger.record(validation(earlier, "refused", n_quarantined=900))
    runtime.ledger.record(scoring(earlier, n_rows=7))
    samples = scrape(runtime)
    assert value(samples, "holdfast_scored_rows") == 950
    assert value(samples, "holdfast_quarantine_ratio") == 0.05
    assert value(samples, "holdfast_nights", outcome="refused") == 1


def test_an_empty_ledger_has_few_figures(runtime):
    assert {name for name, _ in scrape(runtime)} == {"holdfast_ledger_up", "holdfast_messages_unsent"}


def test_a_ledger_that_can_not_be_read_is_a_figure_too(runtime, tmp_path):
    fill(runtime.ledger)
    ledger = tmp_path / "home" / "ledger.db"
    runtime.ledger.close()
    for path in ledger.parent.glob("ledger.db*"):
        path.unlink()
    ledger.write_bytes(b"no database at all, and more than a header" * 50)
    assert scrape(runtime) == {("holdfast_ledger_up", frozenset()): 0}


def test_a_ledger_that_can_not_be_opened_is_a_figure_too(runtime, tmp_path):
    settings = load_settings({"HOLDFAST_HOME": str(tmp_path), "HOLDFAST_LEDGER_URL": f"sqlite:///{tmp_path}"})
    broken = Runtime(settings=settings, params=runtime.params)
    assert scrape(broken) == {("holdfast_ledger_up", frozenset()): 0}


def test_a_port_that_is_taken_is_said_by_name(runtime):
    with exporter(lambda: [], host="127.0.0.1", port=0) as (server, _):
        port = server.server_port
        with (
            pytest.raises(ConfigError, match=f"127.0.0.1:{port}"),
            exporter(lambda: [], host="127.0.0.1", port=port),
        ):
            pass
