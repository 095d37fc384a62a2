import contextlib
import signal
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from pipelines.stack.interrupts import check_interrupted, interruptible, pause, waiting

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """Check that whatever a test does, the handlers are those of before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


class Thing:
    """Something to refer to weakly."""


def interrupted(act: Callable[[], None]) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        act()


@BOTH
def test_a_request_to_end_is_an_interrupt_at_the_next_place_that_heeds_it(number):
    done = []

    def act() -> None:
        signal.raise_signal(number)
        done.append("what came before such a place")
        check_interrupted()
        done.append("what came after")

    interrupted(act)

    assert done == ["what came before such a place"]
    check_interrupted()


@BOTH
def test_a_request_that_nobody_heeded_is_an_interrupt_at_the_end(number):
    interrupted(lambda: signal.raise_signal(number))


@BOTH
def test_a_request_amid_a_callback_whose_exceptions_are_dropped_is_not_lost(number):
    # The import system has such callbacks: an exception in one is printed, and that is all.
    def act() -> None:
        drop(number)
        check_interrupted()
        pytest.fail("the interrupt was lost")

    interrupted(act)


# The dropped exception is what the test brings about.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_dropped_while_waiting_is_raised_again():
    def act() -> None:
        with waiting():
            drop(signal.SIGTERM)
        pause(0.0)
        pytest.fail("the interrupt was lost")

    interrupted(act)


def drop(number: signal.Signals) -> None:
    """Raise a signal in a callback whose exceptions are dropped."""
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    assert watch() is None


@BOTH
def test_waiting_is_broken_off_at_once(number):
    def act() -> None:
        with waiting():
            signal.raise_signal(number)
            pytest.fail("it was not broken off")

    interrupted(act)


def test_a_pause_that_begins_after_the_request_does_not_last():
    def act() -> None:
        signal.raise_signal(signal.SIGTERM)
        pause(600)

    began = time.monotonic()
    interrupted(act)

    assert time.monotonic() - began < 300


def test_cleaning_up_after_an_interrupt_is_not_interrupted_by_another():
    done = []

    def act() -> None:
        try:
            with waiting():
                signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            done.append("cleaned up")

    interrupted(act)

    assert done == ["cleaned up"]


def test_an_error_goes_before_an_interrupt_that_came_meanwhile():
    def act() -> None:
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("it was this")

    with pytest.raises(ValueError, match="it was this"), interruptible():
        act()

    check_interrupted()


def test_a_block_within_another_is_part_of_it():
    def act() -> None:
        with interruptible():
            signal.raise_signal(signal.SIGTERM)
        check_interrupted()
        pytest.fail("the inner block forgot the interrupt")

    interrupted(act)


def test_a_signal_that_this_process_was_started_to_ignore_is_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_a_block_ctrl_c_is_what_it_always_is():
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it was not raised")


def test_in_another_thread_nothing_is_changed():
    seen = []

    def look() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [signal.getsignal(signal.SIGTERM)]
