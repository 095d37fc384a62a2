"""A request to end this process (Ctrl-C, or SIGTERM): noted at once, heeded where nothing is lost by it.

An exception out of a signal's handler hits wherever the process happens to be: in a callback whose
exceptions are dropped, between a child's start and its record, amid the clean-up. So the handler
takes a note, and whoever waits looks at it. Only what waits for others is broken off at once.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Note:
    is_asked: bool = False
    is_waiting: bool = False


_note = _Note()


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a KeyboardInterrupt: where it is heeded next, or at the block's end.

    It is heeded in :func:`check_interrupted`, :func:`waiting` and :func:`pause`; what lies between two of
    them is done whole. An error that leaves the block goes first. A block within another is part of
    it. A signal that this process was started to ignore is ignored still; elsewhere than in the main
    thread, nothing changes.
    """
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    if threading.current_thread() is not threading.main_thread() or _take_note in handlers.values():
        yield
        return
    try:
        for number, handler in handlers.items():
            if handler not in (signal.SIG_IGN, None):
                signal.signal(number, _take_note)
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
        is_asked, _note.is_asked = _note.is_asked, False
    if is_asked:
        raise KeyboardInterrupt


def check_interrupted() -> None:
    """Raise KeyboardInterrupt if this process was asked to end, however often it was raised before."""
    if _note.is_asked:
        raise KeyboardInterrupt


@contextmanager
def waiting() -> Iterator[None]:
    """Let an interrupt break off the block at once: for what waits, and has nothing to lose."""
    _note.is_waiting = True
    try:
        # After the flag, so that a request that comes between the two is not waited out.
        check_interrupted()
        yield
    finally:
        _note.is_waiting = False


def pause(seconds: float) -> None:
    """Sleep, unless this process was or is asked to end."""
    with waiting():
        time.sleep(seconds)


def _take_note(_number: int, _frame: FrameType | None) -> None:
    _note.is_asked = True
    if _note.is_waiting:
        _note.is_waiting = False
        raise KeyboardInterrupt
