"""Errors reach the caller and the callbacks, abandoned calls stop, and nothing hangs."""

import asyncio
import copy
import gc
import threading
import time

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_sra import ChatSRAHuggingFace, SRAHuggingFaceLLM

from sra_rag.errors import ContextOverflowError, OutOfMemoryError, PromptError
from sra_rag.models.loading import LoadedModel

LONG = "word " * 9000


class Errors(BaseCallbackHandler):
    def __init__(self):
        self.errors = []

    def on_llm_error(self, error, **kwargs):
        self.errors.append(error)


@pytest.fixture
def rejecting_template(tiny):
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    return LoadedModel(tiny.model, tokenizer, "refusing")


@pytest.fixture
def call_all_ways(request):
    """Call a model in each of four ways; collect the answers or exceptions."""

    async def call(model, question):
        async def astream():
            return [piece async for piece in model.astream(question, config)]

        errors = Errors()
        config = {"callbacks": [errors]}
        outcomes = []
        for call_once in (
            lambda: asyncio.to_thread(model.invoke, question, config),
            lambda: asyncio.to_thread(lambda: list(model.stream(question, config))),
            lambda: model.ainvoke(question, config),
            astream,
        ):
            try:
                outcomes.append(await asyncio.wait_for(call_once(), 60))
            except Exception as error:
                outcomes.append(error)
        return outcomes, errors.errors

    return call


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("sra-rag")]


def wait_for_workers():
    deadline = time.monotonic() + 20
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    return workers()


@pytest.mark.parametrize("model_class", [ChatSRAHuggingFace, SRAHuggingFaceLLM])
async def test_out_of_memory(failing, call_all_ways, model_class):
    outcomes, errors = await call_all_ways(model_class(engine=failing, max_tokens=8), "Hello")
    assert [type(outcome) for outcome in outcomes] == [OutOfMemoryError] * 4
    assert "ran out of memory" in str(outcomes[0])
    assert len(errors) == 4
    assert wait_for_workers() == []


@pytest.mark.parametrize("model_class", [ChatSRAHuggingFace, SRAHuggingFaceLLM])
async def test_a_prompt_that_is_too_long(tiny_engine, call_all_ways, model_class):
    outcomes, errors = await call_all_ways(model_class(engine=tiny_engine), LONG)
    assert [type(outcome) for outcome in outcomes] == [ContextOverflowError] * 4
    assert len(errors) == 4


async def test_a_template_that_rejects_the_messages(rejecting_template, call_all_ways):
    outcomes, errors = await call_all_ways(ChatSRAHuggingFace(engine=rejecting_template), "Hello")
    assert [type(outcome) for outcome in outcomes] == [PromptError] * 4
    assert "roles must alternate" in str(outcomes[0])
    assert len(errors) == 4


async def test_an_error_during_streamed_events(failing):
    chat = ChatSRAHuggingFace(engine=failing, max_tokens=8)
    with pytest.raises(OutOfMemoryError):
        [event async for event in chat.astream_events("Hello", version="v2")]
    with pytest.raises(OutOfMemoryError):
        _ = chat.stream_events("Hello", version="v3").output


async def test_the_model_still_works_after_an_error(tiny_engine):
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=2)
    expected = chat.invoke("Hello").content
    handle = tiny_engine.loaded.model.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        chat.invoke("Hello")
    handle.remove()
    assert chat.invoke("Hello").content == (await chat.ainvoke("Hello")).content == expected


@pytest.mark.parametrize("model_class", [ChatSRAHuggingFace, SRAHuggingFaceLLM])
async def test_closing_a_stream_stops_generation(tiny_engine, model_class, slow_steps):
    model = model_class(engine=tiny_engine, max_tokens=4000)
    for _ in model.stream("Count: 1 2 3"):
        break
    gc.collect()
    assert wait_for_workers() == []
    async for _ in model.astream("Count: 1 2 3"):
        break
    gc.collect()
    await asyncio.sleep(0.1)  # the event loop closes the abandoned generator
    assert await asyncio.to_thread(wait_for_workers) == []


@pytest.mark.parametrize("model_class", [ChatSRAHuggingFace, SRAHuggingFaceLLM])
async def test_a_cancelled_task_stops_generation(tiny_engine, model_class, slow_steps):
    model = model_class(engine=tiny_engine, max_tokens=4000)
    passes = []
    handle = tiny_engine.loaded.model.register_forward_pre_hook(lambda *_: passes.append(1))
    task = asyncio.create_task(model.ainvoke("Count: 1 2 3"))
    while len(passes) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(wait_for_workers) == []
    done = len(passes)
    await asyncio.sleep(0.5)
    handle.remove()
    assert len(passes) <= done + 1


async def test_the_event_loop_is_not_blocked(tiny_engine, slow_steps):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.create_task(tick())
    answer = await ChatSRAHuggingFace(engine=tiny_engine, max_tokens=8).ainvoke([HumanMessage("Hello")])
    ticker.cancel()
    assert ticks > answer.usage_metadata["output_tokens"]
