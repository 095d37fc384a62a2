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
    assert str(raised.value) == "the column `temp` is missing"
    assert isinstance(raised.value.__cause__, error)


def test_what_means_nothing_to_do_here_skips_the_task() -> None:
    with (
        pytest.raises(AirflowSkipException, match="no champion yet"),
        airflow_outcomes(skip_on=(errors.NotReadyError,)),
    ):
        raise errors.NotReadyError("no champion yet")


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), airflow_outcomes():
        raise ZeroDivisionError
