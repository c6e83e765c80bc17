"""The models in typical applications: a LCEL chain, agents, a graph, together with LlamaIndex, and under load."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain.agents.structured_output import ToolStrategy
from langchain_core.embeddings import Embeddings
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_sra import ChatSRAHuggingFace, SRAHuggingFaceLLM
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from llama_index.core.llms import ChatMessage
from llama_index.llms.sra import SRAHuggingFaceLLM as LlamaIndexLLM
from pydantic import BaseModel
from sra_pipelines.index.embedding import load_embedding

from sra_rag import Engine, SRAConfig

FACTS = [
    "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year and ends on 3 May 2031.",
    "Ferry tickets are sold at the kiosk beside the old lighthouse from seven in the morning.",
]
QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
AFTER = SRAConfig(alpha=0.2, rows="after_context")


@tool
def get_rent(place: str) -> str:
    """Look up the yearly rent of a place."""
    return FACTS[0]


class Rent(BaseModel):
    """A yearly rent."""

    amount: int


class Embedded(Embeddings):
    """The embedding model of the pipelines, with the interface of LangChain."""

    def __init__(self):
        self.model = load_embedding()

    def embed_documents(self, texts):
        return self.model.get_text_embedding_batch(texts)

    def embed_query(self, text):
        return self.model.get_query_embedding(text)


@pytest.fixture
def chat(tiny_engine):
    return ChatSRAHuggingFace(engine=tiny_engine, max_tokens=24)


@pytest.fixture(scope="module")
def retriever():
    return InMemoryVectorStore.from_texts(FACTS, Embedded()).as_retriever(search_kwargs={"k": 1})


@pytest.fixture
def to_messages(retriever):
    def join(documents):
        return "\n".join(document.page_content for document in documents)

    blocks = [{"type": "text", "text": "{context}"}, {"type": "text", "text": "Question: {question}"}]
    prompt = ChatPromptTemplate.from_messages([("human", blocks)])
    return {"context": retriever | join, "question": RunnablePassthrough()} | prompt


def test_calls_with_and_without_sra_share_the_prefilled_passages(chat, to_messages):
    chain = to_messages | chat.bind(max_tokens=2)
    off = chain.invoke(QUESTION)
    on = chain.invoke(QUESTION, {"configurable": {"sra": AFTER}})
    assert off.usage_metadata["input_token_details"]["cache_read"] == 0
    assert on.response_metadata["sra"]["rows"] == "after_context"
    assert on.usage_metadata["input_token_details"]["cache_read"] == on.response_metadata["context_tokens"]
    assert on.response_metadata["context_tokens"] > chat.get_num_tokens(FACTS[0])


def test_an_agent_calls_a_tool_and_answers(chat):
    @wrap_model_call
    def call_once(request, handler):
        answered = any(isinstance(message, ToolMessage) for message in request.messages)
        return handler(request.override(tool_choice="none" if answered else "any"))

    agent = create_agent(chat, [get_rent], middleware=[call_once])
    messages = agent.invoke({"messages": [HumanMessage(QUESTION)]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert messages[1].tool_calls[0]["name"] == "get_rent"
    assert messages[2].content == FACTS[0]
    assert messages[3].content


def test_an_agent_that_answers_with_an_object(chat):
    agent = create_agent(chat, [], response_format=ToolStrategy(Rent))
    answer = agent.invoke({"messages": [HumanMessage(f"{FACTS[0]} {QUESTION}")]})["structured_response"]
    assert isinstance(answer, Rent)


async def test_the_config_applies_to_a_whole_graph(chat):
    with_tool = chat.bind_tools([get_rent], tool_choice="any")

    def model(state):
        answered = isinstance(state["messages"][-1], ToolMessage)
        return {"messages": [(chat.bind(max_tokens=2) if answered else with_tool).invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode([get_rent]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition, {"tools": "tools", END: END})
    graph.add_edge("tools", "model")
    app = graph.compile()
    for settings in ({}, {"configurable": {"sra": 0.2}}):
        answers = [
            m for m in (await app.ainvoke({"messages": [("human", QUESTION)]}, settings))["messages"] if m.type == "ai"
        ]
        assert len(answers) == 2
        assert [answer.response_metadata["sra"] is not None for answer in answers] == [bool(settings)] * 2


def test_an_engine_is_shared_with_llama_index(tiny):
    llama = LlamaIndexLLM(model=tiny, max_new_tokens=4)
    chat = ChatSRAHuggingFace(engine=llama.engine, max_tokens=4)
    completion = SRAHuggingFaceLLM(engine=chat.engine, max_tokens=4)
    assert chat.engine is llama.engine is completion.engine
    llama_answer = llama.chat([ChatMessage(role="user", content=QUESTION)])
    chat_answer = chat.invoke(QUESTION)
    assert chat_answer.content == llama_answer.message.content
    assert chat_answer.usage_metadata["input_token_details"]["cache_read"] > 30  # from the call through LlamaIndex


MIX = [(question, sra) for question in ("Hello", "Name a colour.") for sra in (None, 0.4, AFTER)][:5]


@pytest.fixture(scope="module")
def serial(tiny):
    chat = ChatSRAHuggingFace(engine=Engine(tiny, max_prefixes=0), max_tokens=3)
    return [chat.invoke(question, sra=sra).content for question, sra in MIX]


def test_eight_threads(tiny_engine, serial):
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda call: chat.invoke(call[0], sra=call[1]).content, MIX * 4))
    assert answers == serial * 4


async def test_fifty_tasks(tiny_engine, serial):
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3)
    answers = await asyncio.gather(*(chat.ainvoke(question, sra=sra) for question, sra in MIX * 10))
    assert [answer.content for answer in answers] == serial * 10
