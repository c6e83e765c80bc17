"""Ctrl-C in long work: the first stops it after the current step, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "stopped_by_interrupt"]

INTERRUPTED = 130  # the exit code that shells expect


@contextmanager
def stopped_by_interrupt() -> Iterator[threading.Event]:
    """Set an event at the first Ctrl-C; the second raises KeyboardInterrupt."""
    stop = threading.Event()
    before: Callable[[int, FrameType | None], object] | int | None = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
