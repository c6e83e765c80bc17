"""Errors reach the caller, and many callers can run concurrently."""

import asyncio
import copy
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.sra import SRAHuggingFaceLLM
from transformers import DynamicCache

from sra_rag import Engine
from sra_rag.errors import ContextOverflowError, GenerationTimeoutError, OutOfMemoryError, PromptError
from sra_rag.models.loading import LoadedModel

MESSAGE = [ChatMessage(role="user", content="Say hello.")]
PROMPTS = [f"The number after {n} is" for n in range(10)]


def drain(stream):
    return list(stream)[-1]


async def adrain(stream):
    return [item async for item in await stream][-1]


WAYS = {
    "chat": lambda llm, **kw: llm.chat(MESSAGE, **kw),
    "stream_chat": lambda llm, **kw: drain(llm.stream_chat(MESSAGE, **kw)),
    "achat": lambda llm, **kw: asyncio.run(llm.achat(MESSAGE, **kw)),
    "astream_chat": lambda llm, **kw: asyncio.run(adrain(llm.astream_chat(MESSAGE, **kw))),
    "complete": lambda llm, **kw: llm.complete("Hello", **kw),
    "stream_complete": lambda llm, **kw: drain(llm.stream_complete("Hello", **kw)),
    "acomplete": lambda llm, **kw: asyncio.run(llm.acomplete("Hello", **kw)),
    "astream_complete": lambda llm, **kw: asyncio.run(adrain(llm.astream_complete("Hello", **kw))),
}


@pytest.mark.parametrize("way", WAYS)
def test_out_of_memory(failing, way):
    with pytest.raises(OutOfMemoryError, match=r"cpu ran out of memory with 1 prompt.*smaller"):
        WAYS[way](SRAHuggingFaceLLM(model=failing))


@pytest.mark.parametrize("way", [way for way in WAYS if "chat" in way])
def test_a_template_that_rejects_the_messages(tiny, way):
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = "{{ raise_exception('no such role') }}"
    llm = SRAHuggingFaceLLM(model=LoadedModel(tiny.model, tokenizer, "broken"))
    with pytest.raises(PromptError, match="template refuses these messages: no such role"):
        WAYS[way](llm)


@pytest.mark.parametrize("way", WAYS)
def test_a_context_that_is_too_long(tiny, way):
    with pytest.raises(ContextOverflowError, match=r"up to 9000 are to be generated.*window holds 8192"):
        WAYS[way](SRAHuggingFaceLLM(model=tiny), max_new_tokens=9000)


@pytest.mark.parametrize("way", WAYS)
def test_a_timeout(tiny, way):
    with pytest.raises(GenerationTimeoutError, match="not done after timeout=0.001 s"):
        WAYS[way](SRAHuggingFaceLLM(model=tiny), timeout=0.001)


@pytest.fixture
def llm(tiny):
    return SRAHuggingFaceLLM(model=Engine(tiny), max_new_tokens=3, sra=0.2)


def count_caches():
    gc.collect()
    return sum(isinstance(item, DynamicCache) for item in gc.get_objects())


@pytest.mark.slow
def test_eight_concurrent_threads(llm):
    serial = [llm.complete(prompt).text for prompt in PROMPTS]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda prompt: llm.complete(prompt).text, PROMPTS * 2)) == serial * 2


@pytest.mark.slow
async def test_fifty_concurrent_tasks(llm):
    serial = [llm.complete(prompt, sra=sra).text for prompt, sra in zip(PROMPTS, [None, 0.3] * 5, strict=True)]
    threads, caches = threading.active_count(), count_caches()
    tasks = [llm.acomplete(prompt, sra=sra) for prompt, sra in zip(PROMPTS * 5, [None, 0.3] * 25, strict=True)]
    assert [answer.text for answer in await asyncio.gather(*tasks)] == serial * 5
    await asyncio.sleep(0.1)
    assert count_caches() <= max(caches, 2)  # at most the caches that the engine keeps for reuse
    assert threading.active_count() <= threads + 40  # asyncio keeps its thread pool; threads of requests have ended
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sra-rag")]
