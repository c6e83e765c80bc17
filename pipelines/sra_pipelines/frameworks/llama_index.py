"""LlamaIndex retrievers for an index, and `DocumentQA` as a LlamaIndex query engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts import PromptTemplate
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from sra_pipelines.answering.answers import Answer, Retrieval
from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.index.stores.framework_store import passage_metadata
from sra_pipelines.presets import Preset, load_preset
from sra_pipelines.retrieval.packing import format_passages
from sra_pipelines.retrieval.retriever import Retriever
from sra_pipelines.values import Passage
from sra_rag.config import SRALike

__all__ = [
    "DocumentQAEngine",
    "PackedRetriever",
    "PassageRetriever",
    "answer_metadata",
    "question_prompt",
    "to_nodes",
]


class PassageRetriever(BaseRetriever):
    """Search an index, as a LlamaIndex retriever.

    Parameters
    ----------
    retriever
        Retriever of an index in memory or on disk: ``Retriever(index)``.
    k
        Maximum number of passages that are returned, best first.
    callback_manager
        Callback manager of LlamaIndex.

    Examples
    --------
    >>> RetrieverQueryEngine.from_args(PassageRetriever(Retriever(index), k=5), llm=llm)  # doctest: +SKIP
    """

    def __init__(self, retriever: Retriever, *, k: int = 10, callback_manager: CallbackManager | None = None) -> None:
        super().__init__(callback_manager)
        self.retriever = retriever
        self.k = k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return to_nodes(self.retriever.search(query_bundle.query_str, self.k))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class PackedRetriever(BaseRetriever):
    """Retrieve the passages that `DocumentQA` gives to its model, in the same order.

    Parameters
    ----------
    qa
        Retrieves the passages, with its index, retriever and token budget.
    callback_manager
        Callback manager of LlamaIndex.

    Examples
    --------
    The same answers as from ``qa.ask``, with a query engine of LlamaIndex:

    >>> RetrieverQueryEngine.from_args(
    ...     PackedRetriever(qa), llm=SRAHuggingFaceLLM(model=qa.engine), text_qa_template=question_prompt()
    ... )  # doctest: +SKIP
    """

    def __init__(self, qa: DocumentQA, *, callback_manager: CallbackManager | None = None) -> None:
        super().__init__(callback_manager)
        self.qa = qa

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return to_nodes(self.qa.retrieve(query_bundle.query_str).passages)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class DocumentQAEngine(BaseQueryEngine):
    """`DocumentQA` as a LlamaIndex query engine: responses contain its answers, passages and citations.

    Parameters
    ----------
    qa
        Answers the queries.
    sra
        Settings of Scaled ReAttention; None for off.
    streaming
        Whether responses are streamed. The ``metadata`` of a streamed response is empty until the text is complete.
    callback_manager
        Callback manager of LlamaIndex.
    **changes
        Options of generation that differ from those of the engine, such as ``max_new_tokens``.

    Notes
    -----
    ``response.source_nodes`` are the passages in the prompt, ``response.metadata["answer"]`` is the `Answer`, and
    ``response.metadata["citations"]`` are its citations as strings.
    """

    def __init__(
        self,
        qa: DocumentQA,
        *,
        sra: SRALike = None,
        streaming: bool = False,
        callback_manager: CallbackManager | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(callback_manager)
        self.qa = qa
        self.sra = sra
        self.streaming = streaming
        self.changes = changes

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Return the passages that would be in the prompt."""
        return to_nodes(self._retrieval(query_bundle).passages)

    async def aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Retrieve without blocking the event loop."""
        return await asyncio.to_thread(self.retrieve, query_bundle)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response | StreamingResponse:
        retrieval = self._retrieval(query_bundle)
        if not self.streaming:
            answer = self.qa.ask(retrieval, sra=self.sra, **self.changes)
            return Response(answer.text, to_nodes(answer.passages), answer_metadata(answer))
        metadata: dict[str, Any] = {}

        def pieces() -> Generator[str, None, None]:
            for piece in self.qa.stream(retrieval, sra=self.sra, **self.changes):
                if isinstance(piece, Answer):
                    metadata.update(answer_metadata(piece))
                else:
                    yield piece

        return StreamingResponse(pieces(), to_nodes(retrieval.passages), metadata)

    async def _aquery(self, query_bundle: QueryBundle) -> Response | AsyncStreamingResponse:
        retrieval = await asyncio.to_thread(self._retrieval, query_bundle)
        if not self.streaming:
            answer = await self.qa.aask(retrieval, sra=self.sra, **self.changes)
            return Response(answer.text, to_nodes(answer.passages), answer_metadata(answer))
        metadata: dict[str, Any] = {}

        async def pieces() -> AsyncGenerator[str, None]:
            async with aclosing(self.qa.astream(retrieval, sra=self.sra, **self.changes)) as stream:
                async for piece in stream:
                    if isinstance(piece, Answer):
                        metadata.update(answer_metadata(piece))
                    else:
                        yield piece

        return AsyncStreamingResponse(pieces(), to_nodes(retrieval.passages), metadata)

    def _retrieval(self, query_bundle: QueryBundle) -> Retrieval:
        return self.qa.retrieve(query_bundle.query_str, max_new_tokens=self.changes.get("max_new_tokens"))


def question_prompt(preset: str | Path | Preset = "general") -> PromptTemplate:
    """Return the prompt of `DocumentQA` as a ``text_qa_template``, with variables for the passages and the question."""
    instruction = load_preset(preset).instruction.replace("{", "{{").replace("}", "}}")
    [message] = Retrieval("{query_str}", (), "{context_str}", instruction).messages()
    return PromptTemplate(message["content"])


def _to_node(passage: Passage) -> NodeWithScore:
    """Return a passage as a LlamaIndex node. In prompts its document and page precede it, as in `DocumentQA`."""
    formatted = format_passages([passage])
    heading = formatted[: len(formatted) - len(passage.text)].replace("{", "{{").replace("}", "}}")
    node = TextNode(
        id_="/".join(map(str, passage.key)),
        text=passage.text,
        metadata=passage_metadata(passage),
        excluded_llm_metadata_keys=["page_index", "section", "start", "end"],
        text_template=f"{heading}{{content}}",
    )
    return NodeWithScore(node=node, score=passage.score)


def to_nodes(passages: Iterable[Passage]) -> list[NodeWithScore]:
    """Return passages as LlamaIndex nodes with scores."""
    return [_to_node(passage) for passage in passages]


def answer_metadata(answer: Answer) -> dict[str, Any]:
    """Return the metadata of a response: the `Answer` and its citations as strings."""
    return {"answer": answer, "citations": [str(citation) for citation in answer.citations]}
