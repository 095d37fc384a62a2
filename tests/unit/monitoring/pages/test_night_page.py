"""The night's summary says the verdict, runs nothing, and escapes whatever the data says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from sample_drift import CONCEPT, ESTIMATE

from pipelines.monitoring.pages.night_facts import NightFacts, QuarantinedRow, QuarantinedRule
from pipelines.monitoring.pages.night_page import night_page
from pipelines.pages.places import column_id
from pipelines.records import (
    ColumnDrift,
    DataBug,
    DriftRecord,
    Episode,
    ExpectationOutcome,
    IngestionRecord,
    PerformanceRecord,
    StageValidationRecord,
    Trigger,
    ValidationRecord,
    now_utc,
)

_VOID = {"meta", "link", "br"}


class _Reader(HTMLParser):
    """Collects text, links and tags, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.links, self.tags, self._open = "", [], set(), []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _record(**overrides) -> DriftRecord:
    content = {
        "dataset": "toy",
        "partition_key": "2013-03-07",
        "model_version": "3",
        "window": ("2013-03-01", "2013-03-07"),
        "columns": (
            ColumnDrift(column="speed", method="wasserstein", distance=0.1, threshold=0.2, is_drifted=False),
            ColumnDrift(
                column="temp",
                method="wasserstein",
                distance=0.9,
                threshold=0.3,
                is_drifted=True,
                q_value=0.00002,
                importance=0.31,
                impact=0.28,
            ),
        ),
        "concept": CONCEPT,
        "estimate": ESTIMATE,
        "reasons": ("temp is 0.9 standard deviations warmer.",),
        "evidently_fraction": 0.5,
        "evidently_alarm": True,
        "kinds": ("data",),
        "is_alarm": True,
        "is_confirmed": True,
        "n_alarm_nights": 2,
    }
    return DriftRecord.model_validate(content | overrides)


def _page(drift: DriftRecord | None = None, **facts) -> _Reader:
    return _Reader(night_page(NightFacts("toy", "2013-03-07", drift=drift, **facts)))


def _validation(**overrides) -> ValidationRecord:
    content = {
        "dataset": "toy",
        "partition_key": "2013-03-07",
        "raw_digest": "a",
        "suite_digest": "b",
        "outcome": "refused",
        "n_in": 100,
        "n_published": 0,
        "n_quarantined": 7,
        "reasons": ("refused: 7 of 100 rows belong in quarantine",),
        "expectations": (
            ExpectationOutcome(
                name="between", column="speed", severity="critical", is_met=False, observed="7 of 100 rows"
            ),
            ExpectationOutcome(name="all_well", column="x", severity="info", is_met=True),
            ExpectationOutcome(
                name="in_set", column="site", severity="info", is_met=True, is_evaluated=False
            ),
        ),
        "engines": {"duckdb": 2, "great_expectations": 1},
    }
    return ValidationRecord.model_validate(content | overrides)


def _quarantined(stage: str = "raw", value: str = "-5") -> QuarantinedRule:
    row = QuarantinedRow("q0123456789abcde", "2013-03-07|1", "night.csv", 12, value)
    return QuarantinedRule(stage, "between", "speed", "critical", 7, (row,))


def _bug(**overrides) -> DataBug:
    content = {
        "column": "temp",
        "signature": "unit_change",
        "explanation": "temp looks like Celsius where it was Fahrenheit.",
        "first_partition": "2013-03-07",
        "n_rows": 100,
        "share": 1.0,
    }
    return DataBug.model_validate(content | overrides)


def _episode(**overrides) -> Episode:
    content = {
        "id": 3,
        "dataset": "toy",
        "status": "open",
        "action": "record",
        "severity": "warning",
        "kinds": ("data",),
        "cause": "It is warm.",
        "consequence": "Nothing yet.",
        "next_step": "Wait for labels.",
        "model_version": "3",
        "first_alarm": "2013-03-06",
        "opened_for": "2013-03-07",
        "last_alarm": "2013-03-07",
        "opened_at": now_utc(),
    }
    return Episode.model_validate(content | overrides)


def _trigger(**overrides) -> Trigger:
    content = {
        "id": 1,
        "dataset": "toy",
        "partition_key": "2013-03-07",
        "episode_id": 3,
        "verdict": "suppressed",
        "reason": "The cooldown lasts until 2013-03-09.",
        "decided_at": now_utc(),
    }
    return Trigger.model_validate(content | overrides)


@pytest.mark.parametrize(
    ("overrides", "headline"),
    [
        pytest.param({}, "Drift, confirmed on 2 nights", id="confirmed"),
        pytest.param({"is_confirmed": False}, "Drift alarm, not confirmed yet", id="alarm"),
        pytest.param({"is_confirmed": False, "is_alarm": False, "kinds": ()}, "Calm", id="calm"),
    ],
)
def test_headline_is_the_verdict(overrides, headline):
    assert headline in _page(_record(**overrides)).text


def test_the_column_that_matters_comes_first_with_its_distance_floor_and_q_value():
    text = _page(_record()).text
    assert text.index("temp") < text.index("speed")
    assert "0.9000.300< 0.000131%" in text
    assert "1 of 2 checks on 2 columns found drift" in text


def test_why_and_what_is_done_is_said():
    text = _page(_record(action="record")).text
    assert "temp is 0.9 standard deviations warmer." in text
    assert "no page, no retraining" in text
    assert "Evidently’s default rule on the same rows: an alarm (50% of the columns)." in text


def test_links_and_performance_are_shown():
    performance = PerformanceRecord(
        dataset="toy",
        partition_key="2013-03-06",
        model_version="3",
        known_at="2013-03-07",
        labels_digest="a",
        predictions_digest="b",
        n_rows=920,
        metrics={"auc": 0.7321},
    )
    page = _page(_record(), performance=performance, links={"Validation": "validation.html"})
    assert page.links == ["#content", "validation.html"]
    assert "2013-03-06 (920 rows" in page.text
    assert "0.7321" in page.text
    assert "Measured: AUC 0.6000 over 1 labelled day to 2013-07-01" in page.text
    assert "AUC 0.7000, between 0.6800 and 0.7200 with 90% confidence" in page.text


def test_night_without_labels_or_rows_says_so():
    record = _record(columns=(), concept=None, estimate=None, kinds=(), is_alarm=False, is_confirmed=False)
    text = _page(record).text
    assert "No labels are in yet, and nothing was estimated." in text
    assert "Too few rows to compare." in text
    assert "Not known yet." in text


def test_a_refused_night_says_why_and_what_to_do():
    page = _page(validation=_validation(), quarantine=(_quarantined(),))
    assert "Refused: nothing of this night's delivery is published" in page.text
    assert "refused: 7 of 100 rows belong in quarantine" in page.text
    assert "100 rows in, 0 published, 7 in quarantine." in page.text
    assert "Expectations: 2 by duckdb, 1 by great_expectations." in page.text
    assert "Not monitored yet." in page.text
    assert "-5 in 2013-03-07|1, night.csv:12 q0123456789abcde" in page.text
    for command in (
        "holdfast quarantine show toy 2013-03-07 --id q0123456789abcde",
        "holdfast quarantine release toy 2013-03-07 --id q0123456789abcde --reason '...'",
        "holdfast quarantine repair toy 2013-03-07 --id q0123456789abcde --set COLUMN=VALUE --reason '...'",
        "holdfast night toy 2013-03-07",
    ):
        assert command in page.text


def test_only_expectations_that_say_something_are_listed():
    text = _page(validation=_validation()).text
    assert "between" in text
    assert "not evaluated" in text
    assert "all_well" not in text


def test_long_lists_are_cut_and_say_so():
    reasons = tuple(f"reason {number}." for number in range(30))
    text = _page(validation=_validation(reasons=reasons)).text
    assert "reason 19." in text
    assert "reason 20." not in text
    assert "and 10 more" in text


def test_rows_amended_by_hand_are_counted():
    text = _page(validation=_validation(n_amended=3, n_released=2)).text
    assert "3 rows were repaired and 2 released by hand." in text


def test_a_night_of_which_nothing_is_known_says_so():
    page = _page()
    assert "Not validated yet." in page.text
    assert "Quarantine" not in page.text


def test_stages_notes_and_their_quarantine_are_shown():
    stage = StageValidationRecord(
        dataset="toy",
        partition_key="2013-03-07",
        stage="features",
        model_version="3",
        suite_digest="a",
        validated_digest="b",
        input_digest="c",
        outcome="refused",
        n_in=100,
        n_passed=93,
        n_quarantined=7,
        reasons=("refused: too many",),
    )
    page = _page(stages=(stage,), quarantine=(_quarantined("features"),), notes=("Landed anew.",))
    assert "Refused: nothing was predicted. 100 rows in, 93 passed, 7 in quarantine" in page.text
    assert "quarantine_features" in page.text
    assert "Landed anew." in page.text
    assert "holdfast quarantine" not in page.text, "rows of features can't be released"


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param("</td><script>alert(1)</script>", id="script"),
        pytest.param("</script><script>alert(1)</script>", id="end-of-script"),
        pytest.param('"><img src=x onerror=alert(1)>', id="attribute"),
        pytest.param("javascript:alert(1)", id="address"),
        pytest.param("</pre><svg onload=alert(1)>", id="end-of-code"),
    ],
)
def test_nothing_in_the_page_runs(attack):
    record = _record(
        columns=(ColumnDrift(column=attack, method=attack, distance=1, threshold=1, is_drifted=True),),
        model_version=attack,
        concept=CONCEPT.model_copy(update={"metric": attack}),
        estimate=ESTIMATE.model_copy(update={"metric": attack}),
        reasons=(attack,),
        bugs=(_bug(column=attack, signature=attack, explanation=attack, first_partition=attack),),
    )
    outcome = ExpectationOutcome(
        name=attack, column=attack, severity="critical", is_met=False, observed=attack
    )
    row = QuarantinedRow(attack, attack, attack, 1, attack)
    facts = NightFacts(
        "toy",
        "2013-03-07",
        validation=_validation(reasons=(attack,), expectations=(outcome,), engines={attack: 1}),
        drift=record,
        episode=_episode(cause=attack, consequence=attack, next_step=attack),
        triggers=(_trigger(reason=attack),),
        quarantine=(QuarantinedRule("raw", attack, attack, attack, 1, (row,)),),
        notes=(attack,),
        links={attack: "drift.html"},
        columns={attack: "column"},
    )
    page = _Reader(night_page(facts))
    assert page.tags.isdisjoint({"script", "img", "svg"})
    assert page.links == ["#content", "drift.html", "column"]
    assert page.text.count(attack) >= 18


def test_an_episode_is_told_with_what_was_decided():
    text = _page(_record(), episode=_episode(), triggers=(_trigger(),)).text
    for said in ("Episode 3", "It is warm.", "Nothing yet.", "Wait for labels."):
        assert said in text
    assert "2013-03-07: no retraining: The cooldown lasts until 2013-03-09." in text


def test_faults_of_the_data_are_named():
    text = _page(_record(bugs=(_bug(),))).text
    assert "a changed unit" in text
    assert "Fahrenheit" in text


def test_what_each_stage_cost_is_added_up():
    ingestion = IngestionRecord(
        dataset="toy",
        partition_key="2013-03-07",
        source_uri="toy.csv",
        raw_digest="a",
        n_rows=100,
        duration_seconds=61.5,
    )
    text = _page(_record(duration_seconds=2.5), ingestion=ingestion, shows_costs=True).text
    assert "1 min 1 s" in text
    assert "1 min 4 s of computing in all" in text


@pytest.mark.parametrize(
    "text", ["x" * 10_000, '"' * 10_000, "\N{FROG FACE}" * 10_000], ids=["plain", "quotes", "wide"]
)
def test_a_page_stays_small_whatever_the_data(text):
    columns = tuple(
        ColumnDrift(
            column=f"{text}{number}", method="wasserstein", distance=1, threshold=0.1, is_drifted=True
        )
        for number in range(1000)
    )
    outcomes = tuple(
        ExpectationOutcome(
            name=text, column=text, severity="critical", is_met=False, observed=text, n_unexpected=1
        )
        for _ in range(200)
    )
    stage = {
        "suite_digest": "a",
        "model_version": text,
        "validated_digest": "b",
        "input_digest": "c",
        "outcome": "refused",
        "n_in": 9,
        "n_passed": 0,
        "n_quarantined": 9,
        "reasons": (text,) * 100,
        "expectations": outcomes,
        "dataset": "toy",
        "partition_key": "2013-03-07",
    }
    rows = (QuarantinedRow(text, text, text, 1, text),) * 3
    facts = NightFacts(
        "toy",
        "2013-03-07",
        validation=_validation(reasons=(text,) * 100, expectations=outcomes, engines={text: 1}),
        stages=tuple(
            StageValidationRecord.model_validate(stage | {"stage": name})
            for name in ("features", "predictions")
        ),
        drift=_record(
            columns=columns, reasons=(text,) * 100, bugs=(_bug(column=text, explanation=text),) * 100
        ),
        episode=_episode(cause=text, consequence=text, next_step=text),
        triggers=(_trigger(reason=text),) * 100,
        quarantine=tuple(
            QuarantinedRule(name, text, text, text, 1, rows)
            for name in ("raw", "features", "predictions")
            for _ in range(20)
        ),
        notes=(text,) * 100,
        columns={
            column.column: f"../../drift/toy/2013-03-07/{column_id(column.column)}" for column in columns
        },
    )
    assert len(night_page(facts).encode()) <= 300_000
