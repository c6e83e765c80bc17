"""A prompt together with the engine and the arguments that answer it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Generator
from typing import Any

from sra_rag.generation.engine import Engine
from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.result import Generation, TextDelta

__all__ = ["Call"]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request to an engine: the prompt, the engine, and its keyword arguments.

    Parameters
    ----------
    engine
        Engine of the requested model.
    prompt
        Tokens of the prompt.
    arguments
        Keyword arguments for the engine; see `RequestArguments`.
    """

    engine: Engine
    prompt: EncodedPrompt
    arguments: dict[str, Any]

    @property
    def model_name(self) -> str:
        """Name of the model that answers."""
        return self.engine.loaded.name

    def answer(self) -> Generation:
        """Generate the answer; blocks until it is complete."""
        return self.engine.generate(self.prompt, **self.arguments)

    async def aanswer(self) -> Generation:
        """Generate the answer without blocking the event loop."""
        return await self.engine.agenerate(self.prompt, **self.arguments)

    def stream(self) -> Generator[TextDelta, None, None]:
        """Stream the answer."""
        return self.engine.stream(self.prompt, **self.arguments)

    def astream(self) -> AsyncGenerator[TextDelta, None]:
        """Stream the answer without blocking the event loop."""
        return self.engine.astream(self.prompt, **self.arguments)
