"""A row's passport names what decided, what made it and who let it; what is not known is said."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import toy_world
from toy_world import DATASET, STRONGER
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.errors import ConfigError, NotReadyError
from pipelines.pages.document_text import document_text
from pipelines.pages.places import Places
from pipelines.records import IngestionRecord, ScoringRecord
from pipelines.registry.row_document import row_document
from pipelines.registry.row_passport import RowPassport
from pipelines.runtime import Runtime
from pipelines.steps.explain import explain, explain_rows
from pipelines.steps.score import score

NIGHT, LATER = "2013-01-20", "2013-01-19"
ROW = f"{NIGHT}|007"
RUN = "score_toy/scheduled__2013-01-21"
FILE = "trips,\x1b[2J.csv"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a world in which v1, then v2 scored a night, and one row waits in quarantine."""
    opened = toy_world.open_world(tmp_path_factory.mktemp("explained"), "champions")
    runtime = Runtime(settings=opened.settings, params=opened.params, run_id=RUN)
    rows = runtime.lake.read(DATASET, "validated", partitions=[NIGHT]).drop_columns(["partition_key"])
    landed = rows.append_column("source_file", pa.repeat(FILE, rows.num_rows))
    landed = landed.append_column("source_line", pa.array(range(2, rows.num_rows + 2), pa.int64()))
    raw = runtime.lake.replace(DATASET, "raw", NIGHT, _with_a_bad_row(landed))
    runtime.lake.replace(DATASET, "quarantine", NIGHT, _quarantined())
    validated = toy_world.validation_of(NIGHT, _digest(runtime))
    runtime.ledger.record(
        IngestionRecord(
            dataset=DATASET, partition_key=NIGHT, source_uri="toy.csv", raw_digest=raw.digest, n_rows=61
        )
    )
    runtime.ledger.record(validated.model_copy(update={"raw_digest": raw.digest}))
    score(DATASET, NIGHT, runtime=runtime, model_version="1")
    score(DATASET, NIGHT, runtime=runtime)
    score(DATASET, LATER, runtime=runtime, model_version="1")
    return runtime


def _digest(runtime: Runtime) -> str:
    from pipelines.records import ValidationRecord

    record = runtime.ledger.latest(ValidationRecord, DATASET, NIGHT)
    assert record is not None
    assert record.validated_digest is not None
    return record.validated_digest


def _with_a_bad_row(landed: pa.Table) -> pa.Table:
    bad = landed.slice(0, 1)
    bad = bad.set_column(bad.column_names.index("row_id"), "row_id", pa.array([f"{NIGHT}|999"]))
    return pa.concat_tables([landed, bad])


def _quarantined() -> pa.Table:
    reasons = [{"rule": "x_between", "column": "x", "value": "-9", "severity": "critical"}]
    return pa.table(
        {
            "quarantine_id": ["q1"],
            "row_id": [f"{NIGHT}|999"],
            "source_file": [FILE],
            "source_line": pa.array([9], pa.int64()),
            "reasons": [json.dumps(reasons)],
            "row": ["{}"],
        }
    )


def test_a_prediction_leads_to_its_model_and_all_that_made_it(world: Runtime) -> None:
    passport = explain(DATASET, ROW, runtime=world)
    trained = world.registry.training_of(DATASET, "2")
    stored = world.lake.read(DATASET, "predictions", partitions=[NIGHT]).to_pylist()
    assert passport.prediction == {
        "prediction": next(row["prediction"] for row in stored if row["row_id"] == ROW)
    }
    assert passport.outcome == "predicted"
    assert passport.is_intact is True
    assert passport.was_champion is True
    assert (passport.source_file, passport.source_line) == (FILE, 9)
    assert passport.ingestion is not None
    assert passport.validation is not None
    assert passport.validation.raw_digest == passport.ingestion.raw_digest
    assert passport.scoring is not None
    assert passport.scoring.run_id == RUN
    assert passport.model is not None
    assert passport.model.trained == trained
    assert passport.model.config == world.dataset(DATASET).model_dump(mode="json")
    assert passport.model.environment == toy_world.ENVIRONMENT
    assert RowPassport.model_validate(passport.to_json()) == passport


def test_every_day_of_the_training_is_named_with_its_verdict(world: Runtime) -> None:
    model = explain(DATASET, ROW, runtime=world).model
    assert model is not None
    assert model.days is not None
    assert [day.partition_key for day in model.days] == toy_world.all_days()
    assert {day.outcome for day in model.days} == {"passed"}
    assert all(day.events_digest and day.labels_digest for day in model.days)


def test_who_let_it_decide_is_named_with_the_evidence(world: Runtime) -> None:
    passport = explain(DATASET, ROW, runtime=world)
    assert passport.promotion is not None
    assert (passport.promotion.model_version, passport.promotion.actor) == ("2", "test")
    assert passport.gates is not None
    assert passport.gates.digest == passport.promotion.evidence_digest


def test_predictions_that_were_superseded_are_shown_with_who_and_why(world: Runtime) -> None:
    passport = explain(DATASET, ROW, runtime=world)
    assert [(found.model_version, found.superseded_by) for found in passport.superseded] == [("1", "2")]
    before = passport.superseded[0]
    assert before.prediction is not None
    assert before.prediction.keys() == {"prediction"}
    assert before.prediction != passport.prediction
    assert before.actor
    assert before.why


def test_a_version_that_scored_by_name_was_no_champion(world: Runtime) -> None:
    passport = explain(DATASET, f"{LATER}|003", runtime=world)
    assert passport.scoring is not None
    assert (passport.scoring.model_version, passport.was_champion) == ("1", False)
    assert "not the champion when it scored" in document_text(row_document(passport))


def test_a_row_in_quarantine_says_why_it_has_no_prediction(world: Runtime) -> None:
    passport = explain(DATASET, f"{NIGHT}|999", runtime=world)
    assert (passport.outcome, passport.prediction, passport.model) == ("quarantined", None, None)
    assert passport.reasons == ('x_between (x): "-9"',)
    assert "x_between" in document_text(row_document(passport))


def test_a_row_of_a_night_that_was_not_scored_says_so(world: Runtime) -> None:
    assert explain(DATASET, "2013-01-18|003", runtime=world).outcome == "unscored"


def test_what_is_not_known_is_said_and_nothing_else_is(world: Runtime) -> None:
    missing = explain(DATASET, ROW, runtime=world).missing
    assert len(missing) == 1
    assert "the Dag run that registered v2" in missing[0]


def test_the_passport_reads_as_text_and_steers_no_terminal(world: Runtime) -> None:
    text = document_text(row_document(explain(DATASET, ROW, runtime=world)))
    for part in (
        f"{DATASET} {ROW} [Predicted]",
        "commit c0ffee",
        "20 days passed",
        "promoted by",
        RUN,
        "for v2 by",
    ):
        assert part in text
    assert "\x1b" not in text


def test_links_lead_to_the_model_and_the_night(world: Runtime) -> None:
    from pipelines.pages.document_markdown import document_markdown

    text = document_markdown(row_document(explain(DATASET, ROW, runtime=world), places=Places(depth=1)))
    assert "(../models/toy/2)" in text
    assert f"(../night/toy/{NIGHT})" in text


@pytest.mark.parametrize(
    ("row_id", "error", "told"),
    [
        pytest.param("AA|7", ConfigError, "is no row id: one begins with its night", id="no-night"),
        pytest.param(
            f"{NIGHT}|0070", NotReadyError, rf"next to it: {NIGHT}\|008, {NIGHT}\|009", id="near-miss"
        ),
        pytest.param("2014-01-01|1", NotReadyError, "No row of 2014-01-01 comes after it", id="other-night"),
        pytest.param(f"{NIGHT}|' OR 1=1 --", NotReadyError, "has no row", id="injection"),
    ],
)
def test_an_id_that_is_not_there_is_told_with_the_way_on(
    row_id: str, error: type[Exception], told: str, world: Runtime
) -> None:
    with pytest.raises(error, match=told):
        explain(DATASET, row_id, runtime=world)


def test_many_rows_share_what_they_have_in_common(world: Runtime) -> None:
    ids = [f"{NIGHT}|{n:03d}" for n in range(60)]
    passports = list(explain_rows(DATASET, ids, runtime=world))
    assert [passport.row_id for passport in passports] == ids
    assert len({id(passport.model) for passport in passports}) == 1


def test_changed_predictions_are_told_however_small_the_change(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    score(DATASET, NIGHT, runtime=world)
    rows = world.lake.read(DATASET, "predictions", partitions=[NIGHT]).drop_columns(["partition_key"])
    values = rows["prediction"].to_pylist()
    values[-1] += 1e-9
    rows = rows.set_column(rows.column_names.index("prediction"), "prediction", pa.array(values))
    world.lake.replace(DATASET, "predictions", NIGHT, rows)
    passport = explain(DATASET, ROW, runtime=world)
    assert passport.is_intact is False
    assert "NOT WHAT WAS RECORDED" in document_text(row_document(passport))


def test_rows_that_changed_after_they_were_scored_are_told_to_be_stale(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    score(DATASET, NIGHT, runtime=world)
    scored = world.ledger.latest(ScoringRecord, DATASET, NIGHT)
    assert scored is not None
    world.ledger.record(toy_world.validation_of(NIGHT, "f" * 64))
    passport = explain(DATASET, ROW, runtime=world)
    assert passport.is_stale
    assert passport.validation is not None
    assert passport.validation.validated_digest == scored.validated_digest


def test_a_model_whose_files_are_gone_is_told_and_the_rest_is_there(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    version = toy_world.crown(world, toy_world.challenge(world, tmp_path / "new", STRONGER))
    trained = world.registry.training_of(DATASET, version)
    stored = Path(world.registry.artifact_uri(trained, "lineage/snapshot.json").removeprefix("file://"))
    stored.unlink()
    copies = world.settings.home / "models" / DATASET / version / "lineage"
    (copies / "snapshot.txt").write_text("{}")
    score(DATASET, NIGHT, runtime=world)
    passport = explain(DATASET, ROW, runtime=world)
    assert passport.model is not None
    assert passport.model.days is None
    assert passport.model.config is not None
    assert any("the snapshot is gone from" in text for text in passport.missing)


def test_the_command_prints_one_passport_or_a_line_each(
    world: Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(world.params.model_dump_json())
    monkeypatch.setenv("HOLDFAST_HOME", str(world.settings.home))
    monkeypatch.setenv("HOLDFAST_PARAMS", str(params))
    runner = CliRunner()
    one = runner.invoke(app, ["explain", DATASET, ROW, "--json"])
    assert json.loads(one.output)["row_id"] == ROW
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{ROW}\n\n{NIGHT}|008\n")
    many = runner.invoke(app, ["explain", DATASET, "--file", str(ids), "--json"])
    assert [json.loads(line)["row_id"] for line in many.output.splitlines()] == [ROW, f"{NIGHT}|008"]
    assert "Who decided that it decides" in runner.invoke(app, ["explain", DATASET, ROW]).output
    none = runner.invoke(app, ["explain", DATASET])
    assert isinstance(none.exception, ConfigError)
