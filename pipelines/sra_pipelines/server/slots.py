"""Who may use the model: a few at once, the others in the order in which they came, and no more than can wait."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["QueueFullError", "Slots"]


class QueueFullError(Exception):
    """No more requests may wait.

    Attributes
    ----------
    retry_after
        Whole seconds after which a place should be free.
    """

    def __init__(self, waiting: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"{waiting} requests are waiting already. Try again in {retry_after} s.")


class Slots:
    """Slots for requests, first come, first served.

    Parameters
    ----------
    concurrency
        Requests served at once.
    queue_length
        Requests that may wait.
    """

    def __init__(self, concurrency: int, queue_length: int) -> None:
        self.concurrency = concurrency
        self.queue_length = queue_length
        self.waiting = 0
        self.running = 0
        self._free = asyncio.Semaphore(concurrency)  # wakes its waiters in order
        self._mean_seconds = 5.0

    @asynccontextmanager
    async def slot(self, timeout: float) -> AsyncIterator[None]:
        """Wait for a slot, at most `timeout` seconds, and hold it.

        Raises
        ------
        QueueFullError
            If too many wait already.
        TimeoutError
            If none became free in time.
        """
        if self.running + self.waiting >= self.concurrency + self.queue_length:
            rounds = (self.waiting + 1) / self.concurrency
            raise QueueFullError(self.waiting, max(1, math.ceil(self._mean_seconds * rounds)))
        self.waiting += 1
        try:
            await asyncio.wait_for(self._free.acquire(), timeout)
        finally:
            self.waiting -= 1
        self.running += 1
        started = time.monotonic()
        try:
            yield
        finally:
            self._mean_seconds += 0.2 * (time.monotonic() - started - self._mean_seconds)
            self.running -= 1
            self._free.release()
