"""A lock that several readers hold together, or one writer alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SharedLock"]


class SharedLock:
    """A lock that several readers hold together, or one writer alone.

    A writer waits for the readers that hold it. Readers that come later wait for the writer, so that it gets its turn.
    A thread that holds the lock must not ask for it again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_readers = 0
        self._n_writers = 0  # that hold the lock or wait for it
        self._written = False  # a writer holds the lock

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._n_writers)
            self._n_readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._changed:
            self._n_writers += 1
            try:
                self._changed.wait_for(lambda: not self._n_readers and not self._written)
            except BaseException:  # interrupted: the readers must not wait for this writer
                self._n_writers -= 1
                self._changed.notify_all()
                raise
            self._written = True
        try:
            yield
        finally:
            with self._changed:
                self._n_writers -= 1
                self._written = False
                self._changed.notify_all()
