"""The night's summary says the verdict, runs nothing, and escapes whatever the data says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from pipelines.monitoring.night_facts import NightFacts, QuarantinedRow, QuarantinedRule
from pipelines.monitoring.night_page import night_page
from pipelines.records import (
    ColumnDrift,
    DriftRecord,
    ExpectationOutcome,
    PerformanceRecord,
    StageValidationRecord,
    ValidationRecord,
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
            ColumnDrift(column="temp", method="wasserstein", distance=0.9, threshold=0.3, is_drifted=True),
        ),
        "drifted_fraction": 0.5,
        "alarm_fraction": 0.25,
        "performance_metric": "auc",
        "performance_value": 0.71,
        "performance_floor": 0.65,
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


def test_farthest_column_comes_first_with_distance_and_threshold():
    text = _page(_record()).text
    assert text.index("temp") < text.index("speed")
    assert "0.900" in text
    assert "50% of the features have drifted; the alarm is for more than 25%" in text


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
    assert page.links == ["validation.html"]
    assert "2013-03-06 (920 rows" in page.text
    assert "0.7321" in page.text
    assert "0.7100; what the holdout makes plausible ends at 0.6500" in page.text


def test_night_without_labels_or_rows_says_so():
    record = _record(columns=(), performance_value=None, kinds=(), is_alarm=False, is_confirmed=False)
    text = _page(record).text
    assert "No labels are in yet." in text
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
    column = ColumnDrift(column=attack, method=attack, distance=1, threshold=1, is_drifted=True)
    outcome = ExpectationOutcome(
        name=attack, column=attack, severity="critical", is_met=False, observed=attack
    )
    validation = _validation(reasons=(attack,), expectations=(outcome,), engines={attack: 1})
    row = QuarantinedRow(attack, attack, attack, 1, attack)
    facts = NightFacts(
        "toy",
        "2013-03-07",
        validation=validation,
        drift=_record(columns=(column,), model_version=attack, performance_metric=attack),
        quarantine=(QuarantinedRule("raw", attack, attack, attack, 1, (row,)),),
        notes=(attack,),
        links={attack: "drift.html"},
    )
    page = _Reader(night_page(facts))
    assert page.tags.isdisjoint({"script", "img", "svg"})
    assert page.links == ["drift.html"]
    assert page.text.count(attack) >= 10
