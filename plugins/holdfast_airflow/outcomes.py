"""The one place that turns Holdfast's errors into Airflow's outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from pipelines.errors import HoldfastError


@contextmanager
def airflow_outcomes(skip_on: tuple[type[HoldfastError], ...] = ()) -> Iterator[None]:
    """Raise what Airflow understands in place of what a step raises; the message stays.

    =============================  ==============================================================
    the step raises                the task
    =============================  ==============================================================
    an error in ``skip_on``        is skipped, with the message as its reason
    a retryable ``HoldfastError``  fails this try, and is tried again while it has retries left
    any other ``HoldfastError``    fails at once: a retry can't mend it
    anything else                  as Airflow has it: fails this try
    =============================  ==============================================================

    Parameters
    ----------
    skip_on : tuple of type
        Errors that mean "nothing to do here" in this task.
    """
    try:
        yield
    except HoldfastError as error:
        if isinstance(error, skip_on):
            raise AirflowSkipException(str(error)) from error
        if error.is_retryable:
            raise AirflowException(str(error)) from error
        raise AirflowFailException(str(error)) from error
