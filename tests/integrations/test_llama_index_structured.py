"""Structured output and tool calls from the real model through LlamaIndex."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.sra import SRAHuggingFaceLLM
from pydantic import BaseModel, field_validator

from sra_rag.errors import ConfigError, SRAError

PROMPT = PromptTemplate("Describe a fruit that grows in {place}.")


class Fruit(BaseModel):
    """A fruit."""

    name: str
    colours: list[str]
    grams: int


class Rejecting(Fruit):
    @field_validator("name")
    @classmethod
    def reject(cls, name):
        raise ValueError("never right")


def double(x: int) -> int:
    """Double a number."""
    return 2 * x


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


TOOLS = [FunctionTool.from_defaults(double), FunctionTool.from_defaults(greet)]


@pytest.fixture
def llm(tiny):
    return SRAHuggingFaceLLM(model=tiny, max_new_tokens=48)


@pytest.fixture
def caller(with_tools):
    return SRAHuggingFaceLLM(model=with_tools, max_new_tokens=48)


async def test_all_four_structured_predict_methods(llm):
    fruit = llm.structured_predict(Fruit, PROMPT, place="Norway")
    assert isinstance(fruit, Fruit)
    assert await llm.astructured_predict(Fruit, PROMPT, place="Norway") == fruit
    *partial, last = llm.stream_structured_predict(Fruit, PROMPT, place="Norway")
    assert last == fruit
    assert partial[0].name is None
    assert len({str(p) for p in partial}) > 3  # partial objects grow during generation
    *_, last = [item async for item in await llm.astream_structured_predict(Fruit, PROMPT, place="Norway")]
    assert last == fruit


def test_options_of_a_structured_prediction(llm):
    with pytest.raises(ConfigError, match="too small"):
        llm.structured_predict(Fruit, PROMPT, {"max_new_tokens": 3}, place="Norway")
    short = llm.structured_predict(Fruit, PROMPT, {"max_new_tokens": 24, "temperature": 1.4, "seed": 1}, place="Norway")
    assert isinstance(short, Fruit)


def test_an_answer_that_a_validator_rejects(llm):
    with pytest.raises(ValueError, match=r"(?s)validators reject it: .*never right") as caught:
        llm.structured_predict(Rejecting, PROMPT, place="Norway")
    assert isinstance(caught.value, SRAError)


async def test_as_structured_llm(llm):
    structured = llm.as_structured_llm(Fruit)
    message = [ChatMessage(role="user", content="Describe an apple.")]
    response = structured.chat(message)
    assert response.raw == Fruit.model_validate_json(response.message.content)
    assert (await structured.achat(message)).raw == response.raw
    assert structured.complete("Describe an apple.").raw == response.raw
    *_, last = structured.stream_chat(message)
    assert last.raw == response.raw


def test_a_chat_prompt_with_a_system_prompt(tiny):
    llm = SRAHuggingFaceLLM(model=tiny, max_new_tokens=40, system_prompt="You like berries.")
    prompt = ChatPromptTemplate([ChatMessage(role="user", content="Describe a fruit of {place}.")])
    assert isinstance(llm.structured_predict(Fruit, prompt, place="Norway"), Fruit)


def test_function_calling_requires_a_template_with_tools(llm, caller):
    assert not llm.metadata.is_function_calling_model
    assert caller.metadata.is_function_calling_model


async def test_a_required_tool_is_called(caller):
    for response in (
        caller.chat_with_tools(TOOLS, "What is the double of 21?", tool_required=True),
        await caller.achat_with_tools(TOOLS, "What is the double of 21?", tool_required=True),
        list(caller.stream_chat_with_tools(TOOLS, "What is the double of 21?", tool_required=True))[-1],
        [r async for r in await caller.astream_chat_with_tools(TOOLS, "The double of 21?", tool_required=True)][-1],
    ):
        [call] = caller.get_tool_calls_from_response(response)
        assert call.tool_name in ("double", "greet")
        assert set(call.tool_kwargs) == {"x"} or set(call.tool_kwargs) == {"name"}
        assert call.tool_id
        assert response.raw["usage"]["completion_tokens"] > 0


def test_the_prompt_contains_the_tools_and_earlier_calls(caller):
    response = caller.chat_with_tools(TOOLS, "Double 21.", tool_choice="double")
    [call] = caller.get_tool_calls_from_response(response)
    result = ChatMessage(role="tool", content="42", additional_kwargs={"tool_call_id": call.tool_id})
    history = [ChatMessage(role="user", content="Double 21."), response.message, result]
    answer = caller.chat_with_tools(TOOLS, chat_history=history, max_new_tokens=4)
    prompt = caller.engine.loaded.tokenizer.decode(answer.raw["model_output"][0])
    assert '"description": "double(x: int) -> int' in prompt
    assert '<tool_call>\n{"name": "double"' in prompt
    assert "<|im_start|>tool\n42<|im_end|>" in prompt


def test_a_missing_tool_call_is_an_error(caller):
    response = caller.chat_with_tools(TOOLS, "Hello.", tool_choice="none", max_new_tokens=4)
    assert caller.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="called no tool; it wrote"):
        caller.get_tool_calls_from_response(response)
    with pytest.raises(ConfigError, match="There are: double, greet"):
        caller.chat_with_tools(TOOLS, "Hello.", tool_choice="halve")


def test_predict_and_call(caller):
    answer = caller.predict_and_call(TOOLS[:1], "What is the double of 21?", tool_required=True)
    [output] = answer.sources
    assert output.raw_output == double(**output.raw_input["kwargs"])


async def test_function_agent(caller):
    agent = FunctionAgent(tools=TOOLS[:1], llm=caller, initial_tool_choice="double", streaming=True)
    result = await agent.run("What is the double of 21?", max_iterations=2, early_stopping_method="generate")
    [call, *_] = result.tool_calls
    assert call.tool_name == "double"
    assert call.tool_output.raw_output == double(**call.tool_kwargs)


async def test_a_react_agent_finishes(llm):
    agent = ReActAgent(tools=TOOLS[:1], llm=llm, streaming=True)
    result = await agent.run("Say hello.", max_iterations=2, early_stopping_method="generate")
    assert result.response.content
