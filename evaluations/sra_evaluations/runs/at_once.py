"""Run pieces of work on an engine, several at once where the engine gains by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.request import Cancellation

__all__ = ["at_once"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def at_once(
    engine: EngineProtocol, work: Callable[[Job, Cancellation], Result], jobs: Sequence[Job]
) -> Iterator[Result]:
    """Yield the result of each job, in the order of the jobs; a server does several at once.

    Parameters
    ----------
    engine
        Answers the requests of the jobs; its `in_flight` is the number of jobs that are run at once.
    work
        Called with a job, and an event that is set when its result is no longer needed.
    jobs
        The work to do.
    """
    cancel = Cancellation()
    if engine.in_flight == 1 or len(jobs) < 2:
        for job in jobs:
            yield work(job, cancel)
        return
    with ThreadPoolExecutor(min(engine.in_flight, len(jobs)), thread_name_prefix="sra-rag-measure") as pool:
        begun = [pool.submit(work, job, cancel) for job in jobs]
        try:
            for future in begun:
                yield future.result()
        finally:
            cancel.set()
            pool.shutdown(wait=False, cancel_futures=True)
