"""What Airflow makes of Holdfast's errors."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from holdfast_airflow.outcomes import airflow_outcomes
from pipelines import errors

_ALL = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.HoldfastError)]


@pytest.mark.parametrize("error", _ALL, ids=lambda e: e.__name__)
def test_only_what_a_retry_can_mend_is_tried_again(error: type[errors.HoldfastError]) -> None:
    with pytest.raises(AirflowException) as raised, airflow_outcomes():
        raise error("the column `temp` is missing")
    assert isinstance(raised.value, AirflowFailException) is not error.is_retryable
    assert str(raised.value).endswith("the column `temp` is missing")
    assert isinstance(raised.value.__cause__, error)


@pytest.mark.parametrize(
    ("error", "says", "is_retried"),
    [
        pytest.param(errors.ValidationFailed, "Bad data, tried once", False, id="expectation"),
        pytest.param(errors.SchemaError, "Bad data, tried once", False, id="missing-column"),
        pytest.param(errors.SourceError, "The source could not be read", True, id="source"),
        pytest.param(errors.EngineError, "A library or a service failed", True, id="engine"),
        pytest.param(errors.ConfigError, "The configuration is wrong", False, id="configuration"),
    ],
)
def test_the_message_says_whether_data_or_a_source_is_to_blame(
    error: type[errors.HoldfastError], says: str, is_retried: bool
) -> None:
    with pytest.raises(AirflowException, match=f"^{says}") as raised, airflow_outcomes():
        raise error("flights 2013-07-04: see its page")
    assert isinstance(raised.value, AirflowFailException) is not is_retried


def test_what_means_nothing_to_do_here_skips_the_task() -> None:
    with (
        pytest.raises(AirflowSkipException, match="no champion yet"),
        airflow_outcomes(skip_on=(errors.NotReadyError,)),
    ):
        raise errors.NotReadyError("no champion yet")


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), airflow_outcomes():
        raise ZeroDivisionError
