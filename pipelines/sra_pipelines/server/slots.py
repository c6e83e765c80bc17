"""Fair access to the model: limited concurrency, round-robin between clients, and a bounded queue.

Three rules prevent one client from using all slots. Slots are assigned to the waiting clients in turn, and the requests
of each client keep their order. If the queue is full, the newest request of the client with the most waiting requests
is replaced by a request of a client with at least two fewer. And a place is reserved for a rejected client until it
retries, so that clients that were just served cannot take all free places.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["QueueFullError", "Slots"]

_LATE = 5.0  # seconds that a rejected client may retry later than requested


class QueueFullError(Exception):
    """The queue of waiting requests is full.

    Attributes
    ----------
    retry_after
        Seconds after which a place should be free.
    """

    def __init__(self, waiting: int, retry_after: int, what: str = "requests") -> None:
        self.retry_after = retry_after
        super().__init__(f"{waiting} {what} are already waiting. Try again in {retry_after} s.")


@dataclasses.dataclass(eq=False, frozen=True, slots=True)
class _Waiter:
    client: str
    number: int  # counts arrivals
    granted: asyncio.Future[None]


class Slots:
    """Slots for requests, shared fairly between clients.

    Parameters
    ----------
    concurrency
        Number of requests that are served concurrently.
    queue_length
        Maximum number of waiting requests.
    """

    def __init__(self, concurrency: int, queue_length: int) -> None:
        self.concurrency = concurrency
        self.queue_length = queue_length
        self.running = 0
        self._queues: dict[str, deque[_Waiter]] = {}
        self._arrivals = 0
        self._round = 0  # round of the last granted request
        self._rounds: dict[str, int] = {}  # round in which the next request of each client is due
        self._refused: dict[str, float] = {}  # in order of rejection; time until which a place is reserved
        self._mean_seconds = 5.0
        self._closed: Exception | None = None

    def close(self, error: Exception) -> None:
        """Reject waiting and new requests with `error`; running requests keep their slots."""
        self._closed = error
        for waiter in [waiter for queue in self._queues.values() for waiter in queue]:
            self._leave(waiter)
            if not waiter.granted.done():
                waiter.granted.set_exception(error)

    @property
    def waiting(self) -> int:
        """Number of requests in the queue."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def slot(self, timeout: float, client: str = "") -> AsyncIterator[None]:
        """Wait up to `timeout` seconds for a slot, and hold it within the block.

        Raises
        ------
        QueueFullError
            If the queue is full.
        TimeoutError
            If no slot became free in time.
        """
        waiter = self._enter(client)
        try:
            async with asyncio.timeout(timeout):
                await waiter.granted
        except BaseException:
            if waiter in self._queues.get(client, ()):
                self._leave(waiter)
            elif not waiter.granted.cancelled() and waiter.granted.exception() is None:
                self._release()  # granted at the moment of the timeout
            raise
        started = time.monotonic()
        try:
            yield
        finally:
            self._mean_seconds += 0.2 * (time.monotonic() - started - self._mean_seconds)
            self._release()

    def _enter(self, client: str) -> _Waiter:
        if self._closed is not None:
            raise self._closed
        if self._is_full_for(client):
            self._make_room(client)
        self._refused.pop(client, None)
        self._arrivals += 1
        waiter = _Waiter(client, self._arrivals, asyncio.get_running_loop().create_future())
        if client not in self._queues:
            self._queues[client] = deque()
            self._rounds[client] = max(self._round, self._rounds.get(client, 0))
        self._queues[client].append(waiter)
        self._grant()
        return waiter

    def _is_full_for(self, client: str) -> bool:
        if self.running < self.concurrency:
            return False
        now = time.monotonic()
        self._refused = {name: until for name, until in self._refused.items() if until > now}
        before = list(self._refused).index(client) if client in self._refused else len(self._refused)
        return self.waiting + min(before, (self.queue_length + 1) // 2) >= self.queue_length

    def _make_room(self, client: str) -> None:
        """Remove the newest request of the client with the most waiting requests, or reject the request of `client`."""
        most = max(self._queues.values(), key=len, default=deque())
        own = len(self._queues.get(client, ()))
        if len(most) >= own + 2:
            waiter = most[-1]
            error = QueueFullError(self.waiting, self._retry_after(self.waiting))
            self._leave(waiter)
            if not waiter.granted.done():
                waiter.granted.set_exception(error)
            return
        if own:
            raise QueueFullError(self.waiting, self._retry_after(self.waiting))
        before = list(self._refused).index(client) if client in self._refused else len(self._refused)
        after = self._retry_after(before)
        self._refused[client] = time.monotonic() + after + _LATE  # keeps its position among the rejected clients
        raise QueueFullError(self.waiting, after)

    def _retry_after(self, before: int) -> int:
        return max(1, math.ceil(self._mean_seconds * (before + 1) / self.concurrency))

    def _leave(self, waiter: _Waiter) -> None:
        queue = self._queues[waiter.client]
        queue.remove(waiter)
        if not queue:
            del self._queues[waiter.client]

    def _release(self) -> None:
        self.running -= 1
        self._grant()

    def _grant(self) -> None:
        while self.running < self.concurrency and self._queues:
            client = min(self._queues, key=lambda name: (self._rounds[name], self._queues[name][0].number))
            waiter = self._queues[client][0]
            self._leave(waiter)
            if waiter.granted.done():  # it timed out, but its task has not run since
                continue
            self.running += 1
            self._round = self._rounds[client]
            self._rounds[client] += 1
            # Keep rounds only for clients that are waiting or ahead of the others.
            self._rounds = {n: r for n, r in self._rounds.items() if r > self._round or n in self._queues}
            waiter.granted.set_result(None)
