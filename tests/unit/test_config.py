"""params.yaml and HOLDFAST_*: typed, frozen, and clear about a typo."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from pipelines.config import PROJECT_ROOT, DatasetConfig, TrainingConfig, load_params, load_settings
from pipelines.errors import ConfigError


def write(tmp_path: Path, edit) -> Path:
    content = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text())
    edit(content)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_shipped_params_load_and_only_enabled_datasets_have_dags():
    params = load_params(PROJECT_ROOT / "params.yaml")
    assert list(params.enabled) == ["flights"]
    assert params.dataset("bikes").task == "regression"


def test_params_are_frozen():
    params = load_params(PROJECT_ROOT / "params.yaml")
    with pytest.raises(ValidationError):
        params.dataset("flights").target = "other"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(
            lambda c: c["datasets"]["flights"]["training"].update(holdout_dayz=3),
            ["datasets.flights.training.holdout_dayz", "`holdout_days`"],
            id="typo-in-nested-key",
        ),
        pytest.param(lambda c: c.update(datasetz={}), ["`datasetz`", "`datasets`"], id="typo-at-the-top"),
        pytest.param(
            lambda c: c["datasets"]["flights"].update(evaluation={"protected": ["carier"]}),
            ["`evaluation` names 'carier'", "`carrier`"],
            id="slice-of-no-column",
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"].update(task="clustering"), ["flights.task"], id="wrong-value"
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"].update(target="arr_time"),
            ["arr_time", "labels"],
            id="target-is-no-label",
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"]["features"]["numeric"].append("arrival_delay"),
            ["arrival_delay", "can't be a feature"],
            id="label-as-feature",
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"]["columns"].update(tailnum="string"),
            ["tailnum", "leak"],
            id="leak-as-column",
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"]["features"].update(numeric=[], categorical=[]),
            ["no numeric and no categorical"],
            id="no-features",
        ),
        pytest.param(
            lambda c: c["datasets"]["flights"]["source"].update(package=None), ["package"], id="no-package"
        ),
        pytest.param(lambda c: c["datasets"]["flights"]["source"].update(sql=None), ["sql"], id="no-join"),
        pytest.param(
            lambda c: [c["datasets"]["flights"].update({f"x{n}": 1}) for n in range(8)],
            ["and 3 more"],
            id="many-mistakes-are-bounded",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path, edit, words):
    with pytest.raises(ConfigError) as caught:
        load_params(write(tmp_path, edit))
    for word in ["params.yaml", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("datasets: {a: 1, a: 2}", "written twice", id="key-twice"),
        pytest.param("datasets: [", "not valid YAML", id="broken"),
    ],
)
def test_broken_yaml_is_refused(tmp_path, text, word):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_params(path)


def test_a_missing_file_says_what_to_set(tmp_path):
    with pytest.raises(ConfigError, match="HOLDFAST_PARAMS"):
        load_params(tmp_path / "none.yaml")


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(ConfigError, match="`flights`"):
        load_params(PROJECT_ROOT / "params.yaml").dataset("flight")


def test_settings_default_below_one_home(tmp_path):
    settings = load_settings({"HOLDFAST_HOME": str(tmp_path), "PATH": "/bin"})
    assert settings.lake_uri == str(tmp_path / "lake")
    assert settings.ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.storage_options == {}


def test_each_piece_of_state_can_be_moved():
    settings = load_settings(
        {
            "HOLDFAST_LAKE_URI": "s3://bucket/lake",
            "HOLDFAST_S3_ENDPOINT_URL": "http://127.0.0.1:9000",
            "HOLDFAST_LEDGER_URL": "postgresql+psycopg://u@h/d",
        }
    )
    assert settings.ledger_url.startswith("postgresql")
    assert settings.storage_options == {
        "aws_conditional_put": "etag",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "AWS_ALLOW_HTTP": "true",
    }


def test_s3_over_https_needs_no_leave_for_http():
    settings = load_settings(
        {"HOLDFAST_LAKE_URI": "s3://b/l", "HOLDFAST_S3_ENDPOINT_URL": "https://store.example"}
    )
    assert "AWS_ALLOW_HTTP" not in settings.storage_options


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        pytest.param({"HOLDFAST_LAKE_URL": "x"}, "HOLDFAST_LAKE_URI", id="typo"),
        pytest.param({"HOLDFAST_QQQQ": "x"}, "Known:", id="nothing-near"),
        pytest.param({"HOLDFAST_DEVICE": "tpu"}, "HOLDFAST_DEVICE", id="wrong-value"),
    ],
)
def test_a_wrong_variable_is_refused(environ, word):
    with pytest.raises(ConfigError, match=word):
        load_settings(environ)


def _bikes(**changes):
    return load_params(PROJECT_ROOT / "params.yaml").datasets["bikes"].model_dump(mode="json") | changes


def test_classes_may_be_written_as_numbers():
    assert DatasetConfig.model_validate(_bikes(task="binary", classes=[1, 2])).classes == ("1", "2")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        pytest.param({"task": "binary", "classes": [False, True]}, "in quotes", id="bare-yes-and-no"),
        pytest.param({"task": "binary", "classes": "ab"}, "tuple", id="no-list"),
        pytest.param(
            {
                "task": "multiclass",
                "classes": ["a", "b", "c"],
                "columns": {"probability_2": "float"},
                "key": [],
            },
            "probability_2: Holdfast adds a column",
            id="taken-name",
        ),
    ],
)
def test_classes_that_can_not_be_meant_are_refused(changes, word):
    with pytest.raises(ValidationError, match=word):
        DatasetConfig.model_validate(_bikes(**changes))


def test_a_split_by_rows_needs_one_day_unless_more_are_asked_for():
    assert TrainingConfig(split="rows").min_days == 1
    assert TrainingConfig(split="rows", min_days=5).min_days == 5
    assert TrainingConfig().min_days == 28
