"""What is measured: a model in this process or one on a server, and all in which the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from sra_evaluations.memory import peak_memory
from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRAConfig
from sra_rag.generation.engine import Engine
from sra_rag.generation.likelihood import Likelihood, answer_likelihood
from sra_rag.generation.prompts import Prompt
from sra_rag.generation.request import Cancellation

if TYPE_CHECKING:
    from vllm_sra.served_engine import ServedEngine

__all__ = ["MeasuredEngine", "gold_likelihood", "kept_prefills", "nothing_shared", "tells_likelihood", "watched_memory"]

MeasuredEngine: TypeAlias = "Engine | ServedEngine"


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


def kept_prefills(engine: MeasuredEngine, count: int) -> AbstractContextManager[None]:
    """Keep so many prefills more within the block; a server keeps what it has room for."""
    return engine.prefixes.room(count) if isinstance(engine, Engine) else nullcontext()


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
