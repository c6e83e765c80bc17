"""A LangChain retriever for an index, and a chain with the steps of `DocumentQA` and a `ChatSRAHuggingFace`."""

from __future__ import annotations

import asyncio
import dataclasses
from operator import itemgetter
from typing import Any, NamedTuple

from sra_rag.errors import ConfigError, require_extra

require_extra("sra_pipelines.frameworks.langchain", "langchain", "langchain_core")

from langchain_core.callbacks import (  # noqa: E402 - imported after the check that the package is installed
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document  # noqa: E402
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages  # noqa: E402
from langchain_core.retrievers import BaseRetriever  # noqa: E402
from langchain_core.runnables import Runnable, RunnableBranch, RunnableLambda, RunnablePassthrough  # noqa: E402
from langchain_sra import ChatSRAHuggingFace  # noqa: E402
from pydantic import ConfigDict, Field  # noqa: E402

from sra_pipelines.answering.answers import Answer, Retrieval  # noqa: E402
from sra_pipelines.answering.document_qa import DocumentQA  # noqa: E402
from sra_pipelines.index.stores.framework_store import passage_metadata  # noqa: E402
from sra_pipelines.retrieval.retriever import Retriever  # noqa: E402
from sra_pipelines.values import Passage  # noqa: E402
from sra_rag.config import SRAConfig  # noqa: E402
from sra_rag.generation.result import Generation, Timing, Usage  # noqa: E402

__all__ = ["AnswerSteps", "PassageRetriever", "answer_chain", "answer_steps", "to_document"]


class PassageRetriever(BaseRetriever):
    """Search an index, as a LangChain retriever.

    Parameters
    ----------
    retriever
        Retriever of an index in memory or on disk: ``Retriever(index)``.
    k
        Maximum number of passages that are returned, best first.

    Examples
    --------
    >>> PassageRetriever(retriever=Retriever(open_index("my-index"))).invoke("When does it end?")  # doctest: +SKIP
    """

    retriever: Retriever
    k: int = Field(default=10, ge=1)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [to_document(passage) for passage in self.retriever.search(query, self.k)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [to_document(p) for p in await asyncio.to_thread(self.retriever.search, query, self.k)]


class AnswerSteps(NamedTuple):
    """The steps of `answer_chain`. Each step takes a dict and returns it with one more entry.

    Parameters
    ----------
    retrieve
        Reads ``question`` and adds ``retrieval``, a `Retrieval`.
    generate
        Reads ``retrieval`` and adds ``message``, the message of the model.
    conclude
        Reads ``retrieval`` and, if there is one, ``message``, and adds ``answer``, an `Answer`.
    """

    retrieve: Runnable[Any, dict[str, Any]]
    generate: Runnable[Any, dict[str, Any]]
    conclude: Runnable[Any, dict[str, Any]]


def answer_chain(qa: DocumentQA, llm: ChatSRAHuggingFace | None = None) -> Runnable[str, Answer]:
    """Return a chain that takes a question and returns an `Answer`, with the same content as that of ``qa.ask``.

    Parameters
    ----------
    qa
        Retrieves and packs the passages, and checks and cites the answer.
    llm
        Chat model that answers, with its own settings. It must share the engine of `qa`:
        ``ChatSRAHuggingFace(engine=qa.engine, sra=0.2)``. By default it is created from the engine of `qa`.

    Notes
    -----
    ``sra`` can also be passed with the config: ``chain.invoke(question, {"configurable": {"sra": 0.2}})``.
    ``astream_events`` streams the text. ``answer.generation.token_ids`` is empty, because LangChain messages do not
    contain token ids.

    Raises
    ------
    ConfigError
        If `llm` has another engine, or the model of `qa` is on a server.
    """
    retrieve, generate, conclude = answer_steps(qa, llm)
    ask = RunnableBranch((_has_passages, generate), RunnablePassthrough())
    return (_to_state | retrieve | ask | conclude | itemgetter("answer")).with_config(run_name="sra_rag_answer")


def answer_steps(qa: DocumentQA, llm: ChatSRAHuggingFace | None = None) -> AnswerSteps:
    """Return the steps of `answer_chain` for custom chains. Parameters and errors are those of `answer_chain`."""
    if qa.engine.loaded is None:
        raise ConfigError(
            f"The DocumentQA uses {qa.engine.name!r} on a server, but a chain needs a model in this process. "
            "Call qa.ask instead, or create the DocumentQA with an Engine."
        )
    model = llm or ChatSRAHuggingFace(engines=qa.engine)
    if model.engine is not qa.engine:
        raise ConfigError(
            "The chat model and the DocumentQA have different engines, so tokens would be counted with another model "
            "than the one that answers. Share the engine: ChatSRAHuggingFace(engine=qa.engine, ...)."
        )

    def retrieve(state: dict[str, Any]) -> Retrieval:
        return qa.retrieve(state["question"], max_new_tokens=model.max_tokens)

    def generate(state: dict[str, Any]) -> Runnable[Any, AIMessage]:
        # LangChain runs a runnable that a step returns, and passes on what it streams.
        return _to_messages | model.bind(context=state["retrieval"].context)

    def conclude(state: dict[str, Any]) -> Answer:
        message = state.get("message")
        # Checkpoints of a graph restore tuples as lists.
        retrieval = dataclasses.replace(state["retrieval"], passages=tuple(state["retrieval"].passages))
        return qa.conclude(retrieval, None if message is None else _to_generation(message))

    return AnswerSteps(
        RunnablePassthrough.assign(retrieval=RunnableLambda(retrieve, name="retrieve")),
        RunnablePassthrough.assign(message=RunnableLambda(generate, name="generate")),
        RunnablePassthrough.assign(answer=RunnableLambda(conclude, name="conclude")),
    )


def to_document(passage: Passage) -> Document:
    """Return a passage as a LangChain document: position and score are metadata, and the id is unique in the index."""
    metadata = {**passage_metadata(passage), "score": passage.score}
    return Document(passage.text, id="/".join(map(str, passage.key)), metadata=metadata)


def _question(question: str) -> dict[str, Any]:
    return {"question": question}


def _messages(state: dict[str, Any]) -> list[BaseMessage]:
    return convert_to_messages(state["retrieval"].messages())


def _has_passages(state: dict[str, Any]) -> bool:
    return bool(state["retrieval"].passages)


_to_state = RunnableLambda(_question, name="question")
_to_messages = RunnableLambda(_messages, name="prompt")


def _to_generation(message: AIMessage) -> Generation:
    metadata, usage = message.response_metadata, message.usage_metadata
    prompt, completion = (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)
    cached = usage.get("input_token_details", {}).get("cache_read", 0) if usage else 0
    return Generation(
        text=str(message.text),
        finish_reason=metadata["finish_reason"],
        usage=Usage(prompt, completion, cached),
        timing=Timing(**metadata["timing"]),
        token_ids=(),
        sra=SRAConfig.coerce(metadata["sra"]),
        context_length=metadata["context_tokens"],
    )
