"""Components of LlamaIndex that use a language model, with the tiny model."""

from typing import Literal

import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import AgentStream, ReActAgent
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.core.evaluation import FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMStructuredPredictEndEvent,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine, RetryQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.question_gen.types import SubQuestion
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.tools import QueryEngineTool
from llama_index.llms.sra import SRAHuggingFaceLLM
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from sra_rag import Engine, SRAConfig

pytestmark = pytest.mark.slow

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"


@pytest.fixture
def llm(tiny):
    return SRAHuggingFaceLLM(model=Engine(tiny), max_new_tokens=24, sra=0.2)


def test_query_fusion_retriever(llm, index):
    retriever = QueryFusionRetriever(
        [index.as_retriever(similarity_top_k=2)], llm=llm, num_queries=3, similarity_top_k=2, use_async=True
    )
    nodes = retriever.retrieve(QUESTION)
    assert "82,400" in nodes[0].text


async def test_condense_plus_context_chat_engine(llm, index):
    engine = CondensePlusContextChatEngine.from_defaults(retriever=index.as_retriever(similarity_top_k=1), llm=llm)
    first = engine.chat(QUESTION)
    assert first.response.strip()
    second = await engine.achat("And when does it end?")
    assert second.source_nodes
    assert len(engine.chat_history) == 4
    streamed = engine.stream_chat("Where is it?")
    assert "".join(streamed.response_gen).strip()
    assert len(engine.chat_history) == 6


class Question(SubQuestion):
    tool_name: Literal["leases", "tickets"]


class Questions(BaseModel):
    items: list[Question]


def test_sub_question_query_engine(llm, index):
    def tool(name):
        return QueryEngineTool.from_defaults(index.as_query_engine(llm=llm, similarity_top_k=1), name, f"Knows {name}.")

    # The questions are JSON that follows a schema, so a small model generates them correctly.
    generator = LLMQuestionGenerator.from_defaults(llm=llm.as_structured_llm(Questions))
    engine = SubQuestionQueryEngine.from_defaults(
        [tool("leases"), tool("tickets")], question_gen=generator, llm=llm, use_async=True, verbose=False
    )
    assert engine.query(QUESTION).response.strip()


@pytest.mark.parametrize("evaluator", [RelevancyEvaluator, FaithfulnessEvaluator])
def test_retry_query_engine(llm, index, evaluator, monkeypatch):
    monkeypatch.setattr(Settings, "_llm", llm)  # used by the engines of the evaluators; restored afterwards
    engine = RetryQueryEngine(index.as_query_engine(llm=llm, similarity_top_k=1), evaluator(llm=llm), max_retries=1)
    response = engine.query(QUESTION)
    assert response.response.strip()
    assert response.source_nodes


@pytest.mark.parametrize(
    "mode", [ResponseMode.REFINE, ResponseMode.COMPACT, ResponseMode.TREE_SUMMARIZE, ResponseMode.ACCUMULATE]
)
async def test_response_modes(llm, index, mode):
    engine = index.as_query_engine(llm=llm, response_mode=mode, similarity_top_k=2)
    assert (await engine.aquery(QUESTION)).response.strip()


async def test_streaming_and_async_query_engines_give_the_same_answer(llm, index):
    retriever = index.as_retriever(similarity_top_k=1)
    streaming = RetrieverQueryEngine.from_args(retriever, llm=llm, streaming=True)
    plain = RetrieverQueryEngine.from_args(retriever, llm=llm)
    expected = plain.query(QUESTION).response
    assert expected.strip()
    assert (await plain.aquery(QUESTION)).response == expected
    assert "".join(streaming.query(QUESTION).response_gen) == expected
    answer = await streaming.aquery(QUESTION)
    assert "".join([piece async for piece in answer.async_response_gen()]) == expected


def test_a_query_engine_with_structured_output(llm, index):
    class Rent(BaseModel):
        crowns_a_year: int

    response = index.as_query_engine(llm=llm.as_structured_llm(Rent), similarity_top_k=1).query(QUESTION)
    assert isinstance(response.response, Rent)


def test_calls_with_and_without_sra_share_the_prefilled_context(tiny, index):
    llm = SRAHuggingFaceLLM(model=Engine(tiny), max_new_tokens=8)
    after = SRAConfig(alpha=0.3, rows="after_context")
    passages = " ".join(node.text for node in index.as_retriever(similarity_top_k=2).retrieve(QUESTION))
    prompt = f"{passages}\n{QUESTION}"
    assert llm.complete(prompt, context=passages).raw["usage"]["cached_tokens"] == 0
    again = llm.complete(prompt, context=passages, sra=after)
    assert again.raw["usage"]["cached_tokens"] >= len(llm.engine.encode(passages).token_ids) - 2
    assert llm.engine.loaded.model is tiny.model


class Recorder(BaseEventHandler):
    events_seen: list

    @classmethod
    def class_name(cls):
        return "Recorder"

    def handle(self, event, **kwargs):
        self.events_seen.append(event)


@pytest.fixture
def events():
    recorder = Recorder(events_seen=[])
    root = get_dispatcher()
    root.add_event_handler(recorder)
    yield recorder.events_seen
    root.event_handlers.remove(recorder)


def test_instrumentation_reports_each_answer(llm, index, events):
    index.as_query_engine(llm=llm, similarity_top_k=1).query(QUESTION)
    [started] = [event for event in events if isinstance(event, LLMChatStartEvent)]
    [ended] = [event for event in events if isinstance(event, LLMChatEndEvent)]
    assert QUESTION in started.messages[-1].content
    assert ended.response.raw["usage"]["completion_tokens"] > 0
    assert ended.response.raw["sra"]["alpha"] == 0.2


async def test_instrumentation_reports_streams_and_objects(llm, index, events):
    engine = index.as_query_engine(llm=llm, streaming=True, similarity_top_k=1)
    list(engine.query(QUESTION).response_gen)
    assert sum(isinstance(event, LLMChatInProgressEvent) for event in events) > 2
    [ended] = [event for event in events if isinstance(event, LLMChatEndEvent)]
    assert ended.response.raw["usage"]["completion_tokens"] > 0
    llm.structured_predict(Questions, PromptTemplate("Ask."), {"max_new_tokens": 30})
    assert any(isinstance(event, LLMStructuredPredictEndEvent) for event in events)


async def test_a_react_agent_streams(llm, index):
    tool = QueryEngineTool.from_defaults(index.as_query_engine(llm=llm), "leases", "Knows about leases.")
    handler = ReActAgent(tools=[tool], llm=llm).run(QUESTION, max_iterations=2, early_stopping_method="generate")
    streamed = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    assert streamed
    assert (await handler).response.content
