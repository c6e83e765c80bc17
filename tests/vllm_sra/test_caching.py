"""Prefix caching: blocks that settings change are never shared, blocks that they do not change are shared."""

import pytest

pytest.importorskip("vllm", reason="needs vLLM in an environment of its own: make test-vllm")

from vllm.v1.core import kv_cache_utils
from vllm_sra.plugin.caching import salt_changed_blocks, sharpening_key

from tests.vllm_sra.engines import prompt, run, save_tiny, start, stop, tokens_and_logprobs

BLOCK = 32
PROMPT = prompt(1, 150)
AFTER = {"sra": "alpha=0.8,rows=after_context", "sra_context_length": 100}
GENERATED = {"sra": "alpha=0.8,rows=generated"}
ALL = {"sra": 0.8}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(model):
    llm = start(model)
    yield llm
    stop(llm)


@pytest.fixture
def llm(engine):
    """The engine of this file, with nothing cached."""
    assert engine.reset_prefix_cache()
    return engine


@pytest.fixture(scope="module")
def uncached(model):
    """An engine that never caches."""
    llm = start(model, enable_prefix_caching=False)
    yield llm
    stop(llm)


@pytest.fixture(scope="module")
def uncached_outputs(uncached):
    """The answer with each setting when nothing is cached."""
    return {str(extra): ask(uncached, extra)[0] for extra in (None, ALL, AFTER, GENERATED)}


def ask(llm, extra):
    [output] = run(llm, [PROMPT], [extra])
    return tokens_and_logprobs(output), output.num_cached_tokens


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (None, None, 128),
        (None, ALL, 0),
        (ALL, None, 0),
        (ALL, ALL, 128),
        (ALL, {"sra": 0.7}, 0),
        (None, AFTER, 96),
        (AFTER, None, 96),
        (AFTER, AFTER, 128),
        (AFTER, ALL, 0),
        (None, GENERATED, 128),
        (GENERATED, None, 128),
        (GENERATED, AFTER, 96),
    ],
)
def test_blocks_are_shared_up_to_the_first_changed_row(llm, uncached_outputs, first, second, shared):
    ask(llm, first)
    (tokens, logprobs), cached = ask(llm, second)
    assert cached == shared
    if str(second) in uncached_outputs:
        assert tokens == uncached_outputs[str(second)][0]
        assert logprobs == pytest.approx(uncached_outputs[str(second)][1], abs=1e-4)


def test_another_first_sharpened_row_gives_another_prefix(uncached, llm):
    later = {**AFTER, "sra_context_length": 120}  # in the same block (96 to 127) as 100, where AFTER starts
    ask(llm, AFTER)
    (_, logprobs), cached = ask(llm, later)
    assert cached == 96
    assert logprobs == pytest.approx(ask(uncached, later)[0][1], abs=1e-4)


def test_blocks_of_an_answer_are_reused_only_with_the_same_settings(llm):
    [longer] = run(llm, [PROMPT], [GENERATED], tokens=60)
    conversation = PROMPT + tokens_and_logprobs(longer)[0]
    settings = {"sra": "alpha=0.8,rows=after_context", "sra_context_length": len(PROMPT)}
    for other in (None, settings):
        [output] = run(llm, [conversation], [other], tokens=1)
        assert output.num_cached_tokens == 128  # the blocks of the prompt


def test_the_patched_hash_function_of_vllm_still_exists():
    plain = kv_cache_utils.generate_block_hash_extra_keys
    salt_changed_blocks()
    assert kv_cache_utils.generate_block_hash_extra_keys is plain  # already patched by the plugin
    assert plain.salted_by == "sra"
    assert list(plain.__wrapped__.__annotations__)[:4] == [
        "request", "start_token_idx", "end_token_idx", "start_mm_idx",
    ]  # fmt: skip
    assert sharpening_key.__module__ == "vllm_sra.plugin.caching"
