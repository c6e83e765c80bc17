"""One request to the engine, complete."""

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
    """A prompt, the engine that is to answer it, and how.

    Parameters
    ----------
    engine
        Of the model asked for.
    prompt
        The tokens.
    arguments
        Keyword arguments for the engine, see `RequestArguments`.
    """

    engine: Engine
    prompt: EncodedPrompt
    arguments: dict[str, Any]

    @property
    def model_name(self) -> str:
        """Name of the model that answers."""
        return self.engine.loaded.name

    def answer(self) -> Generation:
        """Answer, blocking."""
        return self.engine.generate(self.prompt, **self.arguments)

    async def aanswer(self) -> Generation:
        """Answer; the event loop stays free."""
        return await self.engine.agenerate(self.prompt, **self.arguments)

    def stream(self) -> Generator[TextDelta, None, None]:
        """Answer piece by piece."""
        return self.engine.stream(self.prompt, **self.arguments)

    def astream(self) -> AsyncGenerator[TextDelta, None]:
        """Answer piece by piece; the event loop stays free."""
        return self.engine.astream(self.prompt, **self.arguments)
