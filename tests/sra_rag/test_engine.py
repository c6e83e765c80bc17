"""Generation: as transformers does it, cancellable, safe among threads, and never a hang."""

import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sra_rag import Engine, SamplingOptions, SRAConfig
from sra_rag.errors import ConfigError, ContextOverflowError, OutOfMemoryError, PromptError

PASSAGE = "The lease of the warehouse at Orrin Quay began on 4 May 2016. The yearly rent is 82,400 crowns."
QUESTION = [{"role": "user", "content": f"{PASSAGE}\n\nQuestion: What is the yearly rent?"}]
STRONG = SRAConfig(alpha=0.4)


def workers():
    return [t for t in threading.enumerate() if t.name.startswith("sra-rag")]


def wait_for_workers():
    deadline = time.monotonic() + 20
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    return workers()


def test_an_answer_and_what_it_cost(tiny_engine):
    answer = tiny_engine.generate(QUESTION, max_new_tokens=40)
    assert answer.text
    assert answer.finish_reason == "length"
    assert answer.usage.prompt_tokens == len(tiny_engine.encode(QUESTION).token_ids)
    assert answer.usage.completion_tokens == len(answer.token_ids)
    assert answer.timing.prefill_seconds > 0
    assert answer.timing.decode_seconds > 0
    assert answer.sra is None


@pytest.mark.parametrize("sra", [None, STRONG, {"alpha": 0.4, "rows": "after_context"}])
def test_is_what_transformers_generates(tiny_engine, sra):
    from sra_rag import reattend

    encoded = tiny_engine.encode(QUESTION, context=PASSAGE)
    model = tiny_engine.loaded.model
    with reattend(model, sra, context_length=encoded.context_length):
        limit = tiny_engine.options.max_new_tokens
        ids = model.generate(torch.tensor([encoded.token_ids]), do_sample=False, max_new_tokens=limit)
    answer = tiny_engine.generate(QUESTION, context=PASSAGE, sra=sra)
    assert list(answer.token_ids) == ids[0, len(encoded.token_ids) :].tolist()


def test_a_request_chooses_its_settings(tiny):
    import dataclasses

    engine = Engine(dataclasses.replace(tiny, sra=STRONG), options=SamplingOptions(max_new_tokens=4))
    assert engine.generate("Once").sra == STRONG
    assert engine.generate("Once", sra=None).sra is None
    assert engine.generate("Once", sra=0.1).sra == SRAConfig(alpha=0.1)


@pytest.mark.parametrize("sra", [None, 0.3])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "seed": 5, "top_p": 0.9}])
async def test_blocking_streaming_async_and_batch_agree(tiny_engine, sra, options):
    blocking = tiny_engine.generate(QUESTION, sra=sra, **options)
    deltas = list(tiny_engine.stream(QUESTION, sra=sra, **options))
    assert "".join(d.text for d in deltas) == blocking.text
    assert deltas[-1].generation.token_ids == blocking.token_ids
    assert (await tiny_engine.agenerate(QUESTION, sra=sra, **options)).token_ids == blocking.token_ids
    streamed = [d async for d in tiny_engine.astream(QUESTION, sra=sra, **options)]
    assert "".join(d.text for d in streamed) == blocking.text
    batch = tiny_engine.generate_batch([QUESTION, "Once upon a time", QUESTION], sra=sra, **options)
    assert batch[0].token_ids == batch[2].token_ids == blocking.token_ids
    assert batch[1].token_ids == tiny_engine.generate("Once upon a time", sra=sra, **options).token_ids


@pytest.mark.parametrize("rows", ["after_context", "generated"])
def test_a_padded_batch_knows_where_each_context_ends(tiny_engine, rows):
    sra = SRAConfig(alpha=0.5, rows=rows)
    prompts = [QUESTION, [{"role": "user", "content": f"{PASSAGE * 3}\n\nQuestion: When did the lease begin?"}]]
    contexts = [PASSAGE, PASSAGE * 3]
    batch = tiny_engine.generate_batch(prompts, contexts=contexts, sra=sra)
    for prompt, context, answer in zip(prompts, contexts, batch, strict=True):
        assert answer.token_ids == tiny_engine.generate(prompt, context=context, sra=sra).token_ids


def test_seeds(tiny_engine):
    options = {"temperature": 1.2, "max_new_tokens": 24}
    first = tiny_engine.generate(QUESTION, seed=1, **options)
    assert tiny_engine.generate(QUESTION, seed=1, **options).token_ids == first.token_ids
    assert any(tiny_engine.generate(QUESTION, seed=s, **options).token_ids != first.token_ids for s in (2, 3))


def test_stop_text(tiny_engine):
    whole = tiny_engine.generate(QUESTION, max_new_tokens=40).text
    for stop in (whole[6:12], whole[9:11], whole[-3:]):
        answer = tiny_engine.generate(QUESTION, max_new_tokens=40, stop=stop)
        assert answer.text == whole[: whole.index(stop)]
        assert answer.finish_reason == "stop"
        assert "".join(d.text for d in tiny_engine.stream(QUESTION, max_new_tokens=40, stop=stop)) == answer.text


def test_the_limit_of_tokens(tiny_engine):
    answer = tiny_engine.generate(QUESTION, max_new_tokens=3)
    assert (answer.finish_reason, answer.usage.completion_tokens) == ("length", 3)


def test_an_overlong_prompt_is_refused_with_both_counts(tiny_engine):
    with pytest.raises(ContextOverflowError) as caught:
        tiny_engine.generate("word " * 9000)
    error = caught.value
    assert error.prompt_tokens > 9000
    assert (error.max_new_tokens, error.context_window) == (10, 8192)
    for number in (error.prompt_tokens, 10, 8192):
        assert str(number) in str(error)
    with pytest.raises(ContextOverflowError):
        tiny_engine.stream("word " * 9000)


def test_bad_requests_are_refused_at_the_call(tiny_engine):
    with pytest.raises(ConfigError):
        tiny_engine.stream(QUESTION, temperature=-1)
    with pytest.raises(PromptError):
        tiny_engine.stream(QUESTION, context="not in there")
    with pytest.raises(ConfigError, match="empty"):
        tiny_engine.generate("")
    with pytest.raises(ConfigError, match="rows"):
        tiny_engine.generate(QUESTION, sra={"rows": "none"})


class SetAfter(threading.Event):
    """Is set once it has been looked at so many times, however fast threads are."""

    def __init__(self, looks):
        super().__init__()
        self.looks = looks

    def is_set(self):
        self.looks -= 1
        return self.looks < 0


def test_cancelling_ends_within_a_token(tiny_engine):
    *_, last = tiny_engine.stream(QUESTION, max_new_tokens=200, stop="never", cancel=SetAfter(6))
    assert last.generation.finish_reason == "cancelled"
    assert 1 <= last.generation.usage.completion_tokens <= 7


def test_cancelled_before_it_began(tiny_engine):
    cancel = threading.Event()
    cancel.set()
    answer = tiny_engine.generate(QUESTION, cancel=cancel)
    assert (answer.text, answer.finish_reason) == ("", "cancelled")


def test_a_reader_that_goes_away_ends_the_work(tiny_engine, slow_steps):
    for delta in tiny_engine.stream(QUESTION, max_new_tokens=4000):
        assert delta.generation is None
        break
    gc.collect()
    assert wait_for_workers() == []


async def test_a_cancelled_task_ends_the_work(tiny_engine, slow_steps):
    task = asyncio.create_task(tiny_engine.agenerate("Count: 1 2 3", max_new_tokens=4000))
    await asyncio.sleep(0.5)
    assert workers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(wait_for_workers) == []


async def test_the_event_loop_stays_free(tiny_engine, slow_steps):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.create_task(tick())
    answer = await tiny_engine.agenerate(QUESTION)
    ticker.cancel()
    assert ticks > answer.usage.completion_tokens  # more than one turn of the loop a token


@pytest.fixture
def failing(tiny_engine, monkeypatch):
    """A model that runs out of memory at its third token."""
    calls = 0

    def forward(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > 3:
            raise torch.OutOfMemoryError("out of memory")

    handle = tiny_engine.loaded.model.register_forward_pre_hook(forward)
    yield tiny_engine
    handle.remove()


def test_an_exception_reaches_the_caller(failing):
    with pytest.raises(OutOfMemoryError, match="ran out of memory with 1 prompt"):
        failing.generate(QUESTION)


def test_an_exception_reaches_the_reader_of_a_stream(failing):
    got = []
    with pytest.raises(OutOfMemoryError, match="ran out of memory with 1 prompt"):
        got.extend(failing.stream(QUESTION))
    assert wait_for_workers() == []


async def test_an_exception_reaches_the_reader_of_an_async_stream(failing):
    with pytest.raises(OutOfMemoryError, match="ran out of memory with 1 prompt"):
        async for _ in failing.astream(QUESTION):
            pass


def test_after_a_failure_the_model_goes_on(tiny_engine):
    expected = tiny_engine.generate(QUESTION).text
    handle = tiny_engine.loaded.model.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny_engine.generate(QUESTION)
    handle.remove()
    assert tiny_engine.generate(QUESTION).text == expected


def test_threads_with_different_settings(tiny_engine):
    settings = [None, 0.4, {"alpha": 0.4, "policy": "constant"}, {"alpha": 0.4, "rows": "after_context"}]
    serial = [tiny_engine.generate(QUESTION, context=PASSAGE, sra=sra) for sra in settings]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda sra: tiny_engine.generate(QUESTION, context=PASSAGE, sra=sra), settings * 2))
    assert [a.token_ids for a in parallel] == [a.token_ids for a in serial] * 2
    assert len({a.sra for a in parallel}) == 4


def test_a_second_question_reuses_the_context(tiny_engine):
    first = tiny_engine.generate(QUESTION, context=PASSAGE)
    other = [{"role": "user", "content": f"{PASSAGE}\n\nQuestion: When did the lease begin?"}]
    fresh = Engine(tiny_engine.loaded, options=tiny_engine.options).generate(other, context=PASSAGE)
    second = tiny_engine.generate(other, context=PASSAGE)
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens >= second.context_length
    assert second.token_ids == fresh.token_ids


@pytest.mark.parametrize("rows", ["after_context", "generated"])
def test_other_settings_reuse_what_they_do_not_touch(tiny_engine, rows):
    sra = SRAConfig(alpha=0.5, rows=rows)
    fresh = Engine(tiny_engine.loaded, options=tiny_engine.options).generate(QUESTION, context=PASSAGE, sra=sra)
    tiny_engine.generate(QUESTION, context=PASSAGE)
    answer = tiny_engine.generate(QUESTION, context=PASSAGE, sra=sra)
    reusable = answer.context_length if rows == "after_context" else answer.usage.prompt_tokens - 1
    assert answer.usage.cached_tokens == reusable
    assert answer.token_ids == fresh.token_ids
    back = tiny_engine.generate(QUESTION, context=PASSAGE)  # and the other way: off after on
    assert back.token_ids == Engine(tiny_engine.loaded, options=tiny_engine.options).generate(QUESTION).token_ids


def test_settings_that_touch_the_context_share_nothing(tiny_engine):
    tiny_engine.generate(QUESTION, context=PASSAGE)
    assert tiny_engine.generate(QUESTION, context=PASSAGE, sra=0.3).usage.cached_tokens == 0
    assert tiny_engine.generate(QUESTION, context=PASSAGE, sra=0.4).usage.cached_tokens == 0
    assert tiny_engine.generate(QUESTION, context=PASSAGE, sra=0.4).usage.cached_tokens > 0
    observed = {"alpha": 0.4, "bounds": "observed"}
    assert [tiny_engine.generate(QUESTION, sra=observed).usage.cached_tokens for _ in range(2)] == [0, 0]


def test_no_prefills_are_kept_where_none_are_wanted(tiny):
    engine = Engine(tiny, max_prefixes=0, options=SamplingOptions(max_new_tokens=2))
    assert [engine.generate(QUESTION).usage.cached_tokens for _ in range(2)] == [0, 0]


def test_a_prompt_longer_than_a_prefill_chunk(tiny_engine, monkeypatch):
    import sra_rag.generation.engine as module

    whole = Engine(tiny_engine.loaded, options=tiny_engine.options).generate(QUESTION, sra=0.3)
    monkeypatch.setattr(module, "PREFILL_CHUNK", 32)
    chunked = tiny_engine.generate(QUESTION, sra=0.3)
    assert chunked.token_ids == whole.token_ids
    assert chunked.usage == whole.usage


def test_observed_bounds_are_of_the_whole_prompt(tiny_engine, monkeypatch):
    import sra_rag.generation.engine as module

    sra = {"alpha": 0.5, "bounds": "observed"}
    whole = Engine(tiny_engine.loaded, options=tiny_engine.options).generate(QUESTION, sra=sra)
    monkeypatch.setattr(module, "PREFILL_CHUNK", 32)
    assert tiny_engine.generate(QUESTION, sra=sra).token_ids == whole.token_ids


def test_further_fields_of_generation_config_are_honoured(tiny_engine):
    whole = tiny_engine.generate(QUESTION, max_new_tokens=8)
    last = whole.token_ids[4]
    assert last not in whole.token_ids[:4]
    answer = tiny_engine.generate(QUESTION, max_new_tokens=8, eos_token_id=last)
    assert answer.token_ids == whole.token_ids[:5]
    assert answer.finish_reason == "stop"
    assert last not in tiny_engine.generate(QUESTION, max_new_tokens=8, suppress_tokens=[last]).token_ids


def test_a_batch_of_nothing(tiny_engine):
    assert tiny_engine.generate_batch([]) == []


def test_as_json(tiny_engine):
    import json

    answer = tiny_engine.generate(QUESTION, sra=0.2, max_new_tokens=2)
    assert json.loads(json.dumps(answer.to_dict()))["sra"]["alpha"] == 0.2


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_cancellation_is_an_input_that_is_never_set(tiny_engine, asynchronous):
    cancel = threading.Event()
    for _ in range(2):  # as the page does with its two answers
        if asynchronous:
            generation = await tiny_engine.agenerate("The capital of France is", cancel=cancel, max_new_tokens=3)
        else:
            *_, last = tiny_engine.stream("The capital of France is", cancel=cancel, max_new_tokens=3)
            generation = last.generation
        assert generation.finish_reason == "length"
        assert len(generation.token_ids) == 3
    assert not cancel.is_set()
    cancel.set()
    assert tiny_engine.generate("The capital of France is", cancel=cancel).finish_reason == "cancelled"
