"""What is measured: a model in this process or one on a server, and all in which the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from sra_evaluations.runs.peak_memory import peak_memory
from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig
from sra_rag.generation.engine import Engine
from sra_rag.generation.likelihood import Likelihood, answer_likelihood
from sra_rag.generation.prompts import Prompt
from sra_rag.generation.request import Cancellation

if TYPE_CHECKING:
    from vllm_sra.client.served_engine import ServedEngine

__all__ = [
    "MeasuredEngine",
    "at_once",
    "gold_likelihood",
    "nothing_shared",
    "room_for",
    "tells_likelihood",
    "watched_memory",
]

MeasuredEngine: TypeAlias = "Engine | ServedEngine"
Job = TypeVar("Job")
Found = TypeVar("Found")


def tells_likelihood(engine: MeasuredEngine) -> bool:
    """Whether the likelihood of a given answer can be measured; not by a server that takes messages only."""
    return isinstance(engine, Engine) or engine.tells_likelihood


@contextmanager
def nothing_shared(engine: MeasuredEngine) -> Iterator[MeasuredEngine]:
    """Yield an engine that takes no prefill from requests outside of the block, nor leaves one to them."""
    if not isinstance(engine, Engine):
        yield engine.without_reuse()
        return
    engine.prefixes.clear()
    try:
        yield engine
    finally:
        engine.prefixes.clear()


@contextmanager
def room_for(engine: MeasuredEngine, requests: int) -> Iterator[None]:
    """Keep the prefills of so many requests for each other within the block; a server decides that by itself."""
    if not isinstance(engine, Engine):
        yield
        return
    with engine.prefixes.room(requests):
        yield


def at_once(engine: MeasuredEngine, work: Callable[[Job, Cancellation], Found], jobs: Sequence[Job]) -> Iterator[Found]:
    """Yield what comes of each job, in their order; a server does several at once.

    Parameters
    ----------
    engine
        Which does it.
    work
        Is given a job, and an event that is set when nobody wants its result any more.
    jobs
        What is to be done.
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


@contextmanager
def watched_memory(engine: MeasuredEngine) -> Iterator[Callable[[], int | None]]:
    """Watch memory within the block; a server's is not known. See `peak_memory`."""
    if not isinstance(engine, Engine):
        yield lambda: None
        return
    with peak_memory(engine.loaded.device) as peak:
        yield peak


def gold_likelihood(
    engine: MeasuredEngine,
    prompt: Prompt,
    gold: str,
    *,
    context: str | None,
    sra: SRAConfig | None,
    shares: AttentionShares | None,
    cancel: Cancellation,
) -> Likelihood:
    """Measure how likely a gold answer is; a server is asked without `shares`, and can be told to stop."""
    if isinstance(engine, Engine):
        return answer_likelihood(engine, prompt, gold, context=context, sra=sra, shares=shares)
    return engine.answer_likelihood(prompt, gold, context=context, sra=sra, cancel=cancel)
