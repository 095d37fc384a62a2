"""A model card is written from the record, lies with the version, and says what was not measured."""

from __future__ import annotations

import logging
from pathlib import Path

import evaluations
import pytest
import toy_world
from mlflow import MlflowClient
from toy_world import DATASET, STRONG, STRONGER
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.errors import ConfigError, EngineError
from pipelines.pages.document_markdown import document_markdown
from pipelines.pages.document_page import document_page
from pipelines.pages.document_text import document_text
from pipelines.records import PerformanceRecord, WatchRecord
from pipelines.runtime import Runtime
from pipelines.steps.card import attach_card, card_facts, model_card, refresh_cards
from pipelines.steps.gate import gate
from pipelines.steps.rollback import rollback


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a world in which v1, then v2 was champion, and v3, which was measured, has passed its gates."""
    root = tmp_path_factory.mktemp("cards")
    runtime = toy_world.open_world(root, "champions")
    measure(root / "new" / "outputs")
    gate(DATASET, toy_world.challenge(runtime, root / "new", STRONGER), runtime=runtime)
    return runtime


def measure(outputs: Path) -> None:
    outputs.mkdir(parents=True)
    (outputs / "evaluation.json").write_text(evaluations.evaluation().model_dump_json())
    (outputs / "speed.json").write_text(evaluations.speed().model_dump_json())
    (outputs / "selection.json").write_text(evaluations.selection().model_dump_json())
    evaluations.write_plots(outputs / "plots")


def attached(world: Runtime, version: str, name: str) -> str:
    trained = world.registry.training_of(DATASET, version)
    return Path(world.registry.artifact_uri(trained, f"card/{name}").removeprefix("file://")).read_text()


def description(world: Runtime, version: str) -> str:
    client = MlflowClient(world.settings.mlflow_uri, registry_uri=world.settings.mlflow_uri)
    return str(client.get_model_version(DATASET, version).description)


def test_the_card_says_what_was_measured_and_what_was_not(world: Runtime) -> None:
    text = document_text(model_card(DATASET, "3", runtime=world))
    for part in (
        "toy v3 [challenger]",
        "auc                 0.7500  (0.7000 to 0.8000)",
        "the mean of the past",
        "distance = 500 to 900 and carrier = <b>AA</b>",
        "true positive rate",
        "0.1 standard deviations of noise",
        "SHAP, by permutations",
        "confident learning, of 4000 rows",
        "auc of 4 models of this recipe, of other seeds and samples: 0.7400 to 0.7600",
        "500,000 a second",
        "pass  beats_champion",
        "commit c0ffee",
        "Not measured: origin: only one level has 50 rows or more.",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("part", "title"),
    [
        pytest.param("calibration", "Whether its predictions mean what they say", id="calibration"),
        pytest.param("slices", "Where it is worse", id="slices"),
        pytest.param("fairness", "How evenly it treats groups", id="fairness"),
        pytest.param("stress", "How it bears spoilt data", id="stress"),
        pytest.param("baselines", "Against what knows next to nothing", id="baselines"),
        pytest.param("importance", "What it leans on", id="importance"),
        pytest.param("label_noise", "Labels that may be wrong", id="label-noise"),
        pytest.param("retraining_noise", "How much is luck of training", id="retraining-noise"),
    ],
)
def test_each_part_that_is_empty_says_why(part: str, title: str, world: Runtime) -> None:
    from dataclasses import replace

    from pipelines.registry.card import card_document

    nothing = None if part in ("calibration", "importance", "label_noise", "retraining_noise") else ()
    lacking = evaluations.evaluation(**{part: nothing, "not_measured": {part: "too few rows"}})
    card = card_document(replace(card_facts(DATASET, "3", runtime=world), evaluation=lacking))
    section = next(found for found in card.sections if found.title == title)
    assert "Not measured: too few rows." in str(section.blocks)


def test_a_version_that_was_never_measured_says_so(world: Runtime) -> None:
    text = document_text(model_card(DATASET, "1", runtime=world))
    assert "Not measured: its training kept no evaluation" in text
    assert "Not known: its training kept no selection" in text
    assert "auc  0" not in text


def test_the_card_says_how_the_model_was_found(world: Runtime) -> None:
    text = document_text(model_card(DATASET, "3", runtime=world))
    for part in (
        "5  (3 complete, 1 pruned, 1 failed)",
        "5 trials or 20 minutes  (what fell behind was given up)",
        "seed                77",
        "0.7400  (trial 2; higher is better)",
        "0.7000  (stumps, trial 0)",
        "+0.0400",
        "stumps     rate 0.125, leaves 7  0.7400",
        "Trial 4 (stumps) failed: it <b>diverged</b>",
    ):
        assert part in text


def test_plots_are_drawn_on_the_page_and_are_tables_elsewhere(world: Runtime) -> None:
    card = model_card(DATASET, "3", runtime=world)
    page, markdown = document_page(card), document_markdown(card)
    drawn = [figure.partition("<")[0] for figure in page.split("<figcaption>")[1:]]
    titles = ["ROC curve", "Precision and recall", "auc by day"]
    assert drawn == [*titles, "The probability of 1, in bins of like predictions", "What each trial gave"]
    assert page.count("<svg") == len(drawn)
    assert "<svg" not in markdown
    for row in ("| 0.10 | 0.500 |", "| 0.50 | 0.800 | 0.300 |", "| 2013-01-10 | – | 100 |"):
        assert row in markdown


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        pytest.param("selection.json", "Not known: its selection can't be read", id="selection"),
        pytest.param("plots/roc.csv", "Not drawn: its plots can't be read", id="plots"),
    ],
)
def test_what_was_changed_after_the_training_is_told_and_not_shown(
    changed: str, told: str, world: Runtime
) -> None:
    card = model_card(DATASET, "3", runtime=world)
    copies = world.settings.home / "models" / DATASET / "3"
    trained = world.registry.training_of(DATASET, "3")
    kept = Path(world.registry.artifact_uri(trained, changed).removeprefix("file://"))
    before = kept.read_text()
    (copies / changed).write_text("{}")
    assert model_card(DATASET, "3", runtime=world) == card, "a spoilt copy is fetched again"
    (copies / changed).write_text("{}")
    kept.write_text("{}")
    try:
        text = document_text(model_card(DATASET, "3", runtime=world))
    finally:
        kept.write_text(before)
    assert told in text
    assert "was changed after training" in text
    assert "auc                 0.7500" in text


def test_the_card_says_how_the_model_fared_on_labels_and_under_watch(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    assert "no night that it scored has its labels yet" in document_text(
        model_card(DATASET, "2", runtime=world)
    )
    for record in (fared("2013-01-19"), fared("2013-01-20", is_mature=False), watched(4), watched(5)):
        world.ledger.record(record)
    text = document_text(model_card(DATASET, "2", runtime=world))
    for part in (
        "On 60 labelled rows of 1 nights",
        "2013-01-19",
        "0.7100",
        "is watched",
        "v1 would have had",
    ):
        assert part in text
    assert text.count("after move 2 it") == 1
    assert "no night that it scored" in document_text(model_card(DATASET, "1", runtime=world))


def fared(night: str, is_mature: bool = True) -> PerformanceRecord:
    return PerformanceRecord(
        dataset=DATASET,
        partition_key=night,
        model_version="2",
        known_at="2013-01-21",
        labels_digest="l",
        predictions_digest="p",
        n_rows=60,
        is_mature=is_mature,
        metrics={"auc": 0.71},
    )


def watched(n_nights: int) -> WatchRecord:
    return WatchRecord(
        dataset=DATASET,
        partition_key=f"2013-01-2{n_nights}",
        sequence=2,
        model_version="2",
        former_version="1",
        metric="auc",
        n_nights=14,
        nights=tuple(f"2013-01-2{n}" for n in range(n_nights)),
        champion_value=0.71,
        former_value=0.7,
        threshold=20.0,
        verdict="watching",
    )


def test_the_card_lies_with_the_version_in_mlflow(world: Runtime) -> None:
    card = model_card(DATASET, "3", runtime=world)
    assert attached(world, "3", "model_card.md") == document_markdown(card)
    assert attached(world, "3", "model_card.html") == document_page(card)
    assert description(world, "3").startswith("# toy v3")
    assert len(description(world, "3")) <= 5_000


def test_the_page_runs_and_loads_nothing(world: Runtime) -> None:
    page = attached(world, "3", "model_card.html")
    assert "<script" not in page
    assert "<b>AA" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_cards_follow_a_promotion_and_a_rollback(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    version = toy_world.challenge(world, tmp_path / "new", STRONGER)
    assert attached(world, version, "model_card.md").startswith("# toy v3 (◇ challenger)")
    toy_world.crown(world, version)
    assert attached(world, version, "model_card.md").startswith("# toy v3 (✓ champion) (◇ challenger)")
    assert "champion" not in description(world, "2").partition("\n")[0]
    rollback(DATASET, runtime=world, actor="ada", reason="odd on site north")
    assert attached(world, version, "model_card.md").startswith("# toy v3 (◇ challenger)")
    assert "then v2" in attached(world, version, "model_card.md")
    assert "champion" in description(world, "2").partition("\n")[0]
    assert "brought back by ada" in description(world, "2")


def test_a_challenger_that_was_refused_says_by_which_gate(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    version = toy_world.challenge(world, tmp_path / "bad", STRONG._replace(height=-0.5))
    gate(DATASET, version, runtime=world)
    text = attached(world, version, "model_card.md")
    assert "refused by its gates" in text.partition("\n")[0]
    assert "✗ FAIL | beats\\_naive\\_baseline" in text


def test_a_repeat_writes_the_same_card(world: Runtime) -> None:
    before = attached(world, "3", "model_card.html")
    attach_card(DATASET, "3", runtime=world)
    assert attached(world, "3", "model_card.html") == before


def test_the_second_look_needs_no_mlflow(world: Runtime) -> None:
    model_card(DATASET, "3", runtime=world)
    blind = Runtime(
        settings=world.settings.model_copy(update={"mlflow_uri": "http://127.0.0.1:9"}), params=world.params
    )
    assert model_card(DATASET, "3", runtime=blind) == model_card(DATASET, "3", runtime=world)
    assert "registry" not in vars(blind)


def test_a_copy_that_was_changed_is_not_believed(world: Runtime) -> None:
    card = model_card(DATASET, "3", runtime=world)
    copy = world.settings.home / "models" / DATASET / "3" / "evaluation.json"
    copy.write_text(copy.read_text().replace("0.75", "0.99"))
    assert model_card(DATASET, "3", runtime=world) == card


def test_a_card_that_mlflow_does_not_take_stops_nothing(
    world: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    settings = world.settings.model_copy(update={"mlflow_uri": "sqlite:////proc/nowhere/mlflow.db"})
    with caplog.at_level(logging.WARNING):
        refresh_cards(DATASET, "1", None, runtime=Runtime(settings=settings, params=world.params))
    assert "The model card of toy v1 is not up to date" in caplog.text
    with pytest.raises(EngineError):
        attach_card(DATASET, "1", runtime=Runtime(settings=settings, params=world.params))


def test_an_unknown_version_is_told_with_the_known_ones(world: Runtime) -> None:
    with pytest.raises(ConfigError, match=r"no model version '9'\. Known: 1, 2, 3\."):
        model_card(DATASET, "9", runtime=world)


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        pytest.param("text", "toy v2 [champion]", id="text"),
        pytest.param("md", "# toy v2 (✓ champion)", id="markdown"),
        pytest.param("html", "<!doctype html>", id="page"),
    ],
)
def test_the_command_writes_each_form(
    form: str, begins: str, world: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(world.params.model_dump_json())
    monkeypatch.setenv("HOLDFAST_HOME", str(world.settings.home))
    monkeypatch.setenv("HOLDFAST_PARAMS", str(params))
    out = tmp_path / "card"
    arguments = ["show", "card", f"{DATASET}@champion", "--form", form]
    assert CliRunner().invoke(app, arguments).output.startswith(begins)
    CliRunner().invoke(app, [*arguments, "--out", str(out)], catch_exceptions=False)
    assert out.read_text().startswith(begins)
