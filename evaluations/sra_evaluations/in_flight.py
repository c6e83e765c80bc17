"""Several pieces of work at once, whose results are taken one by one in the order in which the work was begun."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from sra_rag.generation.request import Cancellation

__all__ = ["InFlight"]

Job = TypeVar("Job")
Found = TypeVar("Found")


class InFlight(Generic[Job, Found]):
    """Work under way; a context manager that waits for what is not done, or cancels it where something went wrong.

    Parameters
    ----------
    most
        So many at once; 1 does the work in the thread that begins it.
    take
        Called in that thread with each job and what returns its result, or raises what the work raised.

    Attributes
    ----------
    cancel
        Set when the work is not wanted any more.
    """

    def __init__(self, most: int, take: Callable[[Job, Callable[[], Found]], None]) -> None:
        self.most = most
        self.cancel = Cancellation()
        self._take = take
        self._begun: deque[tuple[Job, Future[Found]]] = deque()
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="sra-rag-measure") if most > 1 else None

    def begin(self, job: Job, work: Callable[[], Found]) -> None:
        """Begin a piece of work, once there is room for it."""
        if self._pool is None:
            self._take(job, work)
            return
        while len(self._begun) >= self.most:
            self._take_first()
        self._begun.append((job, self._pool.submit(work)))

    def alone(self, job: Job, work: Callable[[], Found]) -> None:
        """Do a piece of work while nothing else is under way."""
        self.finish()
        self._take(job, work)

    def finish(self) -> None:
        """Wait for all that is under way."""
        while self._begun:
            self._take_first()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.cancel.set()
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)

    def _take_first(self) -> None:
        job, future = self._begun.popleft()
        self._take(job, future.result)
