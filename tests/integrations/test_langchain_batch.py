"""Batches: one forward pass for several inputs, but a separate call for each input."""

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_sra import ChatSRAHuggingFace

from sra_rag.errors import ContextOverflowError, OutOfMemoryError

QUESTIONS = ["Name a colour.", "Hello", "Count to three: one,"]


class Recorder(BaseCallbackHandler):
    def __init__(self):
        self.started, self.ended, self.failed = [], [], []

    def on_chat_model_start(self, serialized, messages, *, run_id, tags=None, **kwargs):
        self.started.append((run_id, messages[0][-1].content, tags))

    def on_llm_end(self, response, *, run_id, **kwargs):
        self.ended.append((run_id, response.generations[0][0].text))

    def on_llm_error(self, error, *, run_id, **kwargs):
        self.failed.append((run_id, error))


@pytest.fixture
def chat(tiny_engine):
    return ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3)


@pytest.fixture
def passes(tiny_engine):
    """The number of sequences in each forward pass of the model."""
    sizes = []
    hook = lambda module, args, kwargs: sizes.append(len(kwargs["input_ids"]))  # noqa: E731
    handle = tiny_engine.loaded.model.register_forward_pre_hook(hook, with_kwargs=True)
    yield sizes
    handle.remove()


@pytest.fixture(scope="module")
def serial(tiny):
    chat = ChatSRAHuggingFace(engine=tiny, max_tokens=3)
    return [chat.invoke(question).content for question in QUESTIONS]


def texts(messages):
    return [message.content for message in messages]


def test_a_batch_uses_one_forward_pass(chat, passes, serial):
    assert texts(chat.batch(QUESTIONS)) == serial
    assert set(passes) == {3}


async def test_an_async_batch_uses_one_forward_pass_and_does_not_block_the_event_loop(chat, passes, serial, slow_steps):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.create_task(tick())
    assert texts(await chat.abatch(QUESTIONS)) == serial
    ticker.cancel()
    assert set(passes) == {3}
    assert ticks > len(passes)


@pytest.mark.parametrize("bounded", [{"batch_size": 2}, {"max_concurrency": 2}])
def test_the_batch_size_is_limited(tiny_engine, passes, serial, bounded):
    size = {name: value for name, value in bounded.items() if name == "batch_size"}
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3, **size)
    config = {name: value for name, value in bounded.items() if name == "max_concurrency"}
    assert texts(chat.batch(QUESTIONS, config)) == serial
    assert set(passes) == {2, 1}


def test_each_input_has_its_own_run_and_config(chat):
    recorders = [Recorder() for _ in QUESTIONS]
    configs = [{"callbacks": [recorder], "tags": [f"tag {i}"]} for i, recorder in enumerate(recorders)]
    answers = chat.batch(QUESTIONS, configs)
    for index, (recorder, answer) in enumerate(zip(recorders, answers, strict=True)):
        [(run, question, tags)] = recorder.started
        assert (question, tags) == (QUESTIONS[index], [f"tag {index}"])
        assert recorder.ended == [(run, answer.content)]
        assert str(run) in answer.id


def test_a_batch_within_a_chain(chat, passes, serial):
    recorder = Recorder()
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | chat
    answers = chain.batch([{"question": question} for question in QUESTIONS], {"callbacks": [recorder]})
    assert texts(answers) == serial
    assert set(passes) == {3}
    assert len(recorder.started) == len(recorder.ended) == 3


def test_inputs_with_different_settings_are_not_batched_together(chat, passes):
    configs = [{"configurable": {"sra": sra}} for sra in (0.3, None, 0.3)]
    answers = chat.batch(["Hello"] * 3, configs)
    assert sorted(set(passes)) == [1, 2]
    assert [answer.response_metadata["sra"] is None for answer in answers] == [False, True, False]
    assert answers[0].content == answers[2].content == chat.invoke("Hello", sra=0.3).content


@pytest.mark.parametrize("bad", ["word " * 9000, [("human", [{"type": "image", "url": "x"}])]])
async def test_an_invalid_input_does_not_affect_the_others(chat, passes, serial, bad):
    recorder = Recorder()
    config = {"callbacks": [recorder]}
    inputs = [QUESTIONS[0], bad, QUESTIONS[1]]
    for answers in (
        chat.batch(inputs, config, return_exceptions=True),
        await chat.abatch(inputs, config, return_exceptions=True),
    ):
        assert texts([answers[0], answers[2]]) == serial[:2]
        assert isinstance(answers[1], ValueError)
    assert (len(recorder.ended), len(recorder.failed)) == (4, 2)
    with pytest.raises(ValueError, match="window|text only"):
        chat.batch(inputs)
    with pytest.raises(ValueError, match="window|text only"):
        await chat.abatch(inputs)


async def test_a_failing_model_fails_every_input(failing):
    chat = ChatSRAHuggingFace(engine=failing, max_tokens=8)
    failures = chat.batch(["Hello", "Hey"], return_exceptions=True)
    assert [type(failure) for failure in failures] == [OutOfMemoryError] * 2
    with pytest.raises(OutOfMemoryError, match="2 prompt"):
        chat.batch(["Hello", "Hey"])
    with pytest.raises(OutOfMemoryError, match="2 prompt"):
        await chat.abatch(["Hello", "Hey"])


def test_cached_answers_are_not_generated_again(tiny_engine, passes, serial):
    chat = ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3, cache=InMemoryCache())
    chat.invoke(QUESTIONS[0])
    passes.clear()
    assert texts(chat.batch(QUESTIONS)) == serial
    assert set(passes) == {2}
    passes.clear()
    assert texts(chat.batch(QUESTIONS)) == serial
    assert passes == []
    chat.batch(QUESTIONS[:1], {"configurable": {"sra": 0.3}})
    assert passes  # other settings are another cache entry


def test_a_batch_with_streaming_and_a_rate_limit(tiny_engine, serial):
    limiter = InMemoryRateLimiter(requests_per_second=100, max_bucket_size=10)
    assert texts(ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3, rate_limiter=limiter).batch(QUESTIONS)) == serial
    assert texts(ChatSRAHuggingFace(engine=tiny_engine, max_tokens=3, streaming=True).batch(QUESTIONS)) == serial


async def test_a_cancelled_batch_stops_generation(chat, passes, slow_steps):
    task = asyncio.create_task(chat.abatch(["Hello", "Hey"], max_tokens=4000, stop=["never"]))
    while len(passes) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    done = len(passes)
    await asyncio.sleep(1)
    assert len(passes) <= done + 1


def test_empty_batches_and_batches_of_one_input(chat, serial):
    assert chat.batch([]) == []
    assert texts(chat.batch(QUESTIONS[:1])) == serial[:1]
    with pytest.raises(ContextOverflowError):
        chat.batch(["word " * 9000])
