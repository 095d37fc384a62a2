"""The one place that turns Holdfast's errors into Airflow's outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from pipelines.errors import ConfigError, DataError, EngineError, HoldfastError, SourceError

# The first that fits says it. Whoever reads the last line of a log must not wonder whose fault it was.
_WHICH: tuple[tuple[type[HoldfastError], str], ...] = (
    (DataError, "Bad data, tried once: a retry reads the same. "),
    (SourceError, "The source could not be read, which says nothing about its data; tried again. "),
    (EngineError, "A library or a service failed, which says nothing about the data; tried again. "),
    (ConfigError, "The configuration is wrong; not tried again. "),
)


@contextmanager
def airflow_outcomes(skip_on: tuple[type[HoldfastError], ...] = ()) -> Iterator[None]:
    """Raise what Airflow understands in place of what a step raises.

    The message stays, after a sentence that says what kind of failure it is.

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
        message = next((which for kind, which in _WHICH if isinstance(error, kind)), "") + str(error)
        if error.is_retryable:
            raise AirflowException(message) from error
        raise AirflowFailException(message) from error
