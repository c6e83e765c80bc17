"""Requests as chat programs and agent frameworks send them: replayed, or sent by the client's own library."""

import json

import pytest
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI
from sra_pipelines.server import ServerSettings, create_app

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
SYSTEM = {"role": "system", "content": "You are a helpful assistant. Today is 1 March."}
EARLIER = [{"role": "user", "content": "Who are the parties?"}, {"role": "assistant", "content": "Harl and Orrin."}]

# Each as it arrives at a server, with the model and the texts replaced.
REPLAYED = {
    "Open WebUI, an answer": {
        "stream": True, "model": "sra-rag",
        "messages": [SYSTEM, *EARLIER, {"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
        "stream_options": {"include_usage": True}, "temperature": 0.7, "top_p": 0.9, "min_p": 0.05,
        "max_tokens": 6, "frequency_penalty": 0.0, "presence_penalty": 0.0, "seed": 0, "stop": ["\n\n\n"],
        "logit_bias": {}, "tools": [],
    },
    "Open WebUI, a title": {
        "model": "sra-rag", "messages": [{"role": "user", "content": "### Task:\nGenerate a title.\n" + QUESTION}],
        "stream": False, "max_completion_tokens": 6,
    },
    "LibreChat, an answer": {
        "model": "sra-rag", "temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "stop": None,
        "user": "65f1c0ffee", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 6, "n": 1,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "You are helpful."}]}, *EARLIER,
            {"role": "user", "content": [{"type": "text", "text": QUESTION}], "name": "Ann"},
        ],
        "parallel_tool_calls": None,
    },
    "LibreChat, a title": {
        "model": "sra-rag", "temperature": 0.2, "presence_penalty": 0, "frequency_penalty": 0, "max_tokens": 6,
        "stream": False, "messages": [{"role": "system", "content": "Write a concise title: " + QUESTION},
                                      {"role": "user", "content": QUESTION}],
    },
    "AnythingLLM, an answer": {
        "model": "sra-rag", "stream": True, "temperature": 0.7, "max_tokens": "6",  # from its environment, as text
        "messages": [
            {"role": "system", "content": "Given the conversation, reply.\nContext:\n[C 0]:\nx\n[END C 0]\n"},
            *EARLIER, {"role": "user", "content": QUESTION},
        ],
        "stream_options": {"include_usage": True},
    },
    "AnythingLLM, without streaming": {
        "model": "sra-rag", "temperature": 0.7, "max_tokens": 6,
        "messages": [{"role": "system", "content": ""}, {"role": "user", "content": QUESTION}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", REPLAYED)
def test_replayed_requests_are_answered(lease_client, name):
    body = REPLAYED[name]
    response = lease_client.post("/v1/chat/completions", json=body, headers={"Authorization": "Bearer none"})
    assert response.status_code == 200, response.text
    if not body.get("stream"):
        assert response.json()["choices"][0]["message"]["content"]
        return
    *events, done = [line[6:] for line in response.text.split("\n\n") if line]
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]).strip()
    assert chunks[-1]["usage"]["completion_tokens"] <= 6  # the text of the number was understood


@pytest.fixture(scope="module")
def address(lease_qa, serving):
    with serving(create_app(lease_qa, ServerSettings(max_new_tokens=20), mcp=True)) as address:
        yield address


async def test_langchain(address):
    def model(**options):
        return ChatOpenAI(base_url=f"{address}/v1", api_key="none", model="sra-rag", max_retries=0, **options)

    messages = [
        SystemMessage("Be brief."), HumanMessage("Who?"), AIMessage("Harl.", additional_kwargs={"refusal": None}),
        HumanMessage([{"type": "text", "text": QUESTION}]),
    ]  # fmt: skip
    by_chat = await model(max_tokens=6, n=1, seed=3, user="u").ainvoke(messages)
    by_response = await model(max_tokens=6, use_responses_api=True, store=False).ainvoke(messages)
    assert by_chat.content.strip()
    assert by_response.text == by_chat.content
    assert by_response.usage_metadata["input_tokens"] == by_chat.usage_metadata["input_tokens"]
    pieces = [piece async for piece in model(max_tokens=6, use_responses_api=True).astream(messages)]
    assert "".join(piece.text for piece in pieces).strip() == by_chat.content.strip()
    structured = model(temperature=0).with_structured_output(
        {"title": "Sum", "type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]},
        method="json_schema",
    )
    assert set(await structured.ainvoke(messages)) == {"total"}


@pytest.mark.parametrize("kind", [OpenAIChatCompletionsModel, OpenAIResponsesModel])
async def test_the_openai_agents_sdk(address, quoting, kind):  # which fails on answers that are cut off
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
    settings = ModelSettings(max_tokens=6, include_usage=True, store=True)
    agent = Agent("contracts", instructions="Be brief.", model=kind("sra-rag", client), model_settings=settings)
    first = await Runner.run(agent, QUESTION)
    assert "82,400 crowns" in first.final_output
    following = [*first.to_input_list(), {"role": "user", "content": "Until when?"}]
    second = await Runner.run(agent, following)
    streamed = Runner.run_streamed(agent, following)
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output.strip() == second.final_output.strip()


async def test_the_openai_agents_sdk_calls_the_tools(address):
    async with MCPServerStreamableHttp({"url": f"{address}/mcp"}) as server:
        assert {tool.name for tool in await server.list_tools()} == {"search", "ask", "read_page"}
        result = await server.call_tool("search", {"question": QUESTION, "limit": 1})
        assert "82,400 crowns" in result.content[0].text


async def test_llama_index(address):
    like = pytest.importorskip(
        "llama_index.llms.openai_like",
        reason="llama-index-llms-openai-like is not installed; it requires openai<3",
        exc_type=ImportError,
    )
    from llama_index.core.llms import ChatMessage

    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=QUESTION)]
    common = {
        "model": "sra-rag", "api_base": f"{address}/v1", "api_key": "none", "is_chat_model": True, "temperature": 0,
    }  # fmt: skip
    by_chat = like.OpenAILike(**common, max_tokens=6)
    by_response = like.OpenAILikeResponses(**common, max_output_tokens=6)
    answers = [await llm.achat(messages) for llm in (by_chat, by_response)]
    streams = [[piece async for piece in await llm.astream_chat(messages)] for llm in (by_chat, by_response)]
    texts = [answer.message.content for answer in answers]
    texts += ["".join(piece.delta or "" for piece in pieces) for pieces in streams]
    assert texts[0].strip()
    assert {text.strip() for text in texts} == {texts[0].strip()}
