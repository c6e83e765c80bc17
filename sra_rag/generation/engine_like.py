"""What pipelines and evaluations need of whatever answers: a model in this process, or one on a server."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, Unpack

from sra_rag.generation.prompts import EncodedPrompt, Prompt
from sra_rag.generation.request import RequestArguments
from sra_rag.generation.result import Generation, TextDelta
from sra_rag.generation.sampling import SamplingOptions

__all__ = ["EngineLike"]


class EngineLike(Protocol):
    """Answers prompts; `Engine` does, and so does `vllm_sra.client.served_engine.ServedEngine`.

    Threads may share one.
    """

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def options(self) -> SamplingOptions:
        """Options of requests that bring none."""
        ...

    @property
    def context_window(self) -> int:
        """Tokens of prompt and answer together."""
        ...

    @property
    def sees_attention(self) -> bool:
        """Whether requests may bring `shares`, to collect where attention falls."""
        ...

    @property
    def in_flight(self) -> int:
        """How many requests it is worth having under way at once: 1 where they would only wait for each other."""
        ...

    def encode(
        self, prompt: Prompt, *, context: str | None = None, template_kwargs: Mapping[str, Any] | None = None
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
        **arguments: Unpack[RequestArguments],
    ) -> list[Generation]:
        """Answer several prompts; see `Engine.generate_batch`."""
        ...

    def stream(self, prompt: Prompt, **arguments: Unpack[RequestArguments]) -> Generator[TextDelta, None, None]:
        """Answer one prompt piece by piece; see `Engine.stream`."""
        ...
