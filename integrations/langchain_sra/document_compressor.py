"""`SRADocumentCompressor`: ranks LangChain documents by the attention that the evidence heads of a model give them.

This file only translates between LangChain and `sra_rag.Engine.rank_passages`, which ranks the passages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from langchain_sra.engines import Engines, ModelSource
from sra_rag.errors import ConfigError
from sra_rag.generation.engine import Engine

__all__ = ["SRADocumentCompressor"]


class SRADocumentCompressor(BaseDocumentCompressor):
    """Order documents by the attention that a model's evidence heads give them, and keep the best.

    All documents are in one prompt; see `sra_rag.Engine.rank_passages`. The returned documents are copies with their
    share of the attention as ``metadata["relevance_score"]``. Documents with equal shares keep their order.

    Parameters
    ----------
    model
        Name of the model, as given to `sra_rag.load_model`. It is loaded at the first call.
    engine
        An `Engine` or a `LoadedModel` to use instead of loading one, such as ``chat.engine`` of `ChatSRAHuggingFace`.
    top_n
        Maximum number of documents that are returned; None for all.

    Examples
    --------
    >>> compressor = SRADocumentCompressor(engine=chat.engine, top_n=3)  # doctest: +SKIP
    >>> ContextualCompressionRetriever(base_compressor=compressor, base_retriever=retriever)  # doctest: +SKIP
    """

    model: str = "embedded"
    top_n: int | None = Field(default=3, ge=1)
    engines: Any = Field(
        default=None,
        validation_alias=AliasChoices("engine", "engines"),
        exclude=True,
        repr=False,
        validate_default=True,
    )

    model_config = ConfigDict(extra="forbid")

    @field_validator("engines", mode="before")
    @classmethod
    def _hold_engine(cls, given: Any) -> Engines:
        return given if isinstance(given, Engines) else Engines(given)

    @model_validator(mode="after")
    def _name_given_engine(self) -> Self:
        given = self.engines.given
        if given is not None and "model" not in self.model_fields_set:
            self.model = given.name
        elif given is not None and self.model != given.name:
            raise ConfigError(f"model={self.model!r} and an engine of {given.name!r} were given. Give one of the two.")
        return self

    @property
    def engine(self) -> Engine:
        """The engine that ranks the documents, which other integrations can share. Loads the model if needed."""
        return self.engines.get(ModelSource(name=self.model))

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return the best documents for a question, best first.

        Parameters
        ----------
        documents
            The documents, which are not changed.
        query
            The question.
        callbacks
            Not used, because no text is generated.
        """
        if not documents:
            return []
        return self._best(documents, self.engine.rank_passages(query, _texts(documents)))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Rank without blocking the event loop; cancelling the task stops the work."""
        if not documents:
            return []
        engine = await asyncio.to_thread(lambda: self.engine)
        return self._best(documents, await engine.arank_passages(query, _texts(documents)))

    def _best(self, documents: Sequence[Document], scores: list[float]) -> list[Document]:
        ranked = sorted(zip(documents, scores, strict=True), key=lambda pair: -pair[1])
        return [
            document.model_copy(update={"metadata": {**document.metadata, "relevance_score": score}})
            for document, score in ranked[: self.top_n]
        ]


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.page_content for document in documents]
