"""A version is found in the ledger, or the ones there are get named."""

from __future__ import annotations

import pytest

from pipelines.errors import ConfigError
from pipelines.registry.challengers import known_versions, training_record
from pipelines.runtime import Runtime


def test_a_version_is_found_with_what_made_it(rivals: Runtime) -> None:
    record = training_record("toy", "2", ledger=rivals.ledger)
    assert (record.model_version, record.trained.dataset) == ("2", "toy")


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        pytest.param([], "There is none yet.", id="none"),
        pytest.param(["1", "2"], "Known: 1, 2.", id="few"),
        pytest.param(
            [str(n) for n in range(1, 15)],
            "Known: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 (and 2 older).",
            id="many",
        ),
    ],
)
def test_the_newest_versions_are_named(versions: list[str], sentence: str) -> None:
    assert known_versions(versions) == sentence


def test_an_unknown_version_is_told_with_the_known_ones(rivals: Runtime) -> None:
    with pytest.raises(ConfigError, match=r"toy has no model version '9'\. Known: 1, 2\."):
        training_record("toy", "9", ledger=rivals.ledger)
