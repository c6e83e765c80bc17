"""An index as a LangChain retriever, and `DocumentQA` as a chain: its own steps around `ChatSRAHuggingFace`."""

from __future__ import annotations

import asyncio
import dataclasses
from operator import itemgetter
from typing import Any, NamedTuple

from sra_rag.errors import ConfigError, require_extra

require_extra("sra_pipelines.frameworks.langchain", "langchain", "langchain_core")

from langchain_core.callbacks import (  # noqa: E402 - only once its package is known to be there
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
    """Searches an index for LangChain: by meaning and words, as the retriever given does.

    Parameters
    ----------
    retriever
        ``Retriever(index)`` over an index in memory or on disk.
    k
        How many passages are returned, best first.

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
    """What `answer_chain` is made of: each takes a dict and returns it with one more entry.

    Parameters
    ----------
    retrieve
        From ``question`` to ``found``, a `Retrieval`.
    generate
        From ``found`` to ``message``, the model's.
    conclude
        From ``found`` and ``message``, if there is one, to ``answer``, an `Answer`.
    """

    retrieve: Runnable[Any, dict[str, Any]]
    generate: Runnable[Any, dict[str, Any]]
    conclude: Runnable[Any, dict[str, Any]]


def answer_chain(qa: DocumentQA, llm: ChatSRAHuggingFace | None = None) -> Runnable[str, Answer]:
    """Return a chain from a question to its `Answer`: passages, text and citations are those of ``qa.ask``.

    Parameters
    ----------
    qa
        What is asked, and how its passages are found and packed.
    llm
        Answers, with its own settings; it must share the engine: ``ChatSRAHuggingFace(engine=qa.engine, sra=0.2)``.

    Notes
    -----
    ``sra`` may come with the config: ``chain.invoke(question, {"configurable": {"sra": 0.2}})``. The text comes piece
    by piece from ``astream_events``. ``answer.generation.token_ids`` is empty: messages do not carry them.

    Raises
    ------
    ConfigError
        If the model answers with another engine, or is on a server.
    """
    retrieve, generate, conclude = answer_steps(qa, llm)
    ask = RunnableBranch((_has_passages, generate), RunnablePassthrough())
    return (_to_state | retrieve | ask | conclude | itemgetter("answer")).with_config(run_name="sra_rag_answer")


def answer_steps(qa: DocumentQA, llm: ChatSRAHuggingFace | None = None) -> AnswerSteps:
    """Return the steps of `answer_chain`, to put together otherwise; see there."""
    if qa.engine.loaded is None:
        raise ConfigError(
            f"The DocumentQA answers with {qa.engine.name!r} on a server, and a chain with a model in this process. "
            "Ask with qa.ask, or give it an Engine."
        )
    model = llm or ChatSRAHuggingFace(engines=qa.engine)
    if model.engine is not qa.engine:
        raise ConfigError(
            "The chat model answers with another engine than the DocumentQA counts tokens with. Share it: "
            "ChatSRAHuggingFace(engine=qa.engine, ...)."
        )

    def find(state: dict[str, Any]) -> Retrieval:
        return qa.retrieve(state["question"], max_new_tokens=model.max_tokens)

    def read(state: dict[str, Any]) -> Runnable[Any, AIMessage]:
        # A step that returns a chain is that chain: what it streams is streamed on.
        return _to_messages | model.bind(context=state["found"].context)

    def conclude(state: dict[str, Any]) -> Answer:
        message = state.get("message")
        # A graph's checkpoint brings tuples back as lists.
        found = dataclasses.replace(state["found"], passages=tuple(state["found"].passages))
        return qa.conclude(found, None if message is None else _to_generation(message))

    return AnswerSteps(
        RunnablePassthrough.assign(found=RunnableLambda(find, name="retrieve")),
        RunnablePassthrough.assign(message=RunnableLambda(read, name="generate")),
        RunnablePassthrough.assign(answer=RunnableLambda(conclude, name="conclude")),
    )


def to_document(passage: Passage) -> Document:
    """Return a passage with its place and score as LangChain keeps them; the id tells it from others of the index."""
    metadata = {**passage_metadata(passage), "score": passage.score}
    return Document(passage.text, id="/".join(map(str, passage.key)), metadata=metadata)


def _question(question: str) -> dict[str, Any]:
    return {"question": question}


def _messages(state: dict[str, Any]) -> list[BaseMessage]:
    return convert_to_messages(state["found"].messages())


def _has_passages(state: dict[str, Any]) -> bool:
    return bool(state["found"].passages)


_to_state = RunnableLambda(_question, name="question")
_to_messages = RunnableLambda(_messages, name="prompt")


def _to_generation(message: AIMessage) -> Generation:
    told, used = message.response_metadata, message.usage_metadata
    prompt, completion = (used["input_tokens"], used["output_tokens"]) if used else (0, 0)
    cached = used.get("input_token_details", {}).get("cache_read", 0) if used else 0
    return Generation(
        text=str(message.text),
        finish_reason=told["finish_reason"],
        usage=Usage(prompt, completion, cached),
        timing=Timing(**told["timing"]),
        token_ids=(),
        sra=SRAConfig.coerce(told["sra"]),
        context_length=told["context_tokens"],
    )
