"""What pipelines and evaluations require of an engine: a model in this process, or one on a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Unpack

from sra_rag.attention.shares import AttentionShares
from sra_rag.config import SRALike
from sra_rag.generation.prompts import EncodedPrompt, Prompt
from sra_rag.generation.request import Cancellation, RequestArguments
from sra_rag.generation.result import Generation, Likelihood, TextDelta
from sra_rag.generation.sampling import SamplingOptions
from sra_rag.models.loading import LoadedModel

__all__ = ["EngineProtocol"]


class EngineProtocol(Protocol):
    """Answers prompts; `Engine` does, and so does `vllm_sra.client.served_engine.ServedEngine`.

    Threads may share one.
    """

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def options(self) -> SamplingOptions:
        """Options of requests without options."""
        ...

    @property
    def context_window(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    @property
    def loaded(self) -> LoadedModel | None:
        """The model and its tokenizer; None where they are not in this process but on a server."""
        ...

    @property
    def sees_attention(self) -> bool:
        """Whether requests may have `shares`, which collect the distribution of attention."""
        ...

    @property
    def weighs_evidence(self) -> bool:
        """Whether settings may have evidence without naming the heads."""
        ...

    @property
    def in_flight(self) -> int:
        """How many requests it is worth having under way at once: 1 where they would only wait for each other."""
        ...

    @property
    def measures_likelihood(self) -> bool:
        """Whether `answer_likelihood` can be called."""
        ...

    @property
    def server_versions(self) -> Mapping[str, str]:
        """Versions of the programs on the server, by program, as far as they are known; empty in this process."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model, to be stored with results; values are JSON."""
        ...

    def isolated(self) -> AbstractContextManager[EngineProtocol]:
        """Yield an engine whose requests reuse no prefill of others and leave none to them, for fair timings."""
        ...

    def room_for(self, requests: int) -> AbstractContextManager[None]:
        """Keep the prefills of so many more requests within the block; a server decides what it keeps."""
        ...

    def encode(
        self,
        prompt: Prompt,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
    ) -> EncodedPrompt:
        """Turn messages or text into the model's tokens; see `Engine.encode`."""
        ...

    def generate(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generation:
        """Answer one prompt; see `Engine.generate`."""
        ...

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        contexts: Sequence[str | None] | None = None,
        passage_lists: Sequence[Sequence[str] | None] | None = None,
        score_lists: Sequence[Sequence[float] | None] | None = None,
        **arguments: Unpack[RequestArguments],
    ) -> list[Generation]:
        """Answer several prompts; see `Engine.generate_batch`."""
        ...

    def stream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generator[TextDelta, None, None]:
        """Answer one prompt piece by piece; see `Engine.stream`."""
        ...

    def answer_likelihood(
        self,
        prompt: Prompt,
        answer: str,
        *,
        context: str | None = None,
        passages: Sequence[str] | None = None,
        passage_scores: Sequence[float] | None = None,
        template_kwargs: Mapping[str, Any] | None = None,
        sra: SRALike = None,
        shares: AttentionShares | None = None,
        cancel: Cancellation | None = None,
    ) -> Likelihood:
        """Measure how likely a given answer is; see `Engine.answer_likelihood`."""
        ...
