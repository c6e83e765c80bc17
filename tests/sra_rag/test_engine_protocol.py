"""`Engine` has what pipelines and evaluations require of an engine, and the capabilities do what they say."""

import threading
from concurrent.futures import CancelledError

import pytest

from sra_rag.generation.engine_protocol import EngineProtocol
from sra_rag.generation.likelihood import answer_likelihood
from sra_rag.models.description import describe_model

MESSAGES = [{"role": "user", "content": "Name a river of Africa."}]


def test_a_model_in_this_process_has_every_capability(tiny_engine):
    assert [name for name in vars(EngineProtocol) if name[0] != "_" and not hasattr(tiny_engine, name)] == []
    assert tiny_engine.loaded is not None
    assert tiny_engine.sees_attention
    assert tiny_engine.measures_likelihood
    assert tiny_engine.server_versions == {}
    assert tiny_engine.describe() == describe_model(tiny_engine.loaded)


def test_isolated_requests_reuse_no_prefill_and_leave_none(tiny_engine):
    tiny_engine.generate(MESSAGES, max_new_tokens=1)
    assert tiny_engine.generate(MESSAGES, max_new_tokens=1).usage.cached_tokens > 0
    with tiny_engine.isolated() as isolated:
        assert isolated.generate(MESSAGES, max_new_tokens=1).usage.cached_tokens == 0
    assert tiny_engine.generate(MESSAGES, max_new_tokens=1).usage.cached_tokens == 0


def test_room_keeps_the_prefills_of_more_requests(tiny_engine):
    prompts = [[{"role": "user", "content": f"{number} rivers"}] for number in range(5)]
    with tiny_engine.room_for(len(prompts)):
        for prompt in prompts:
            tiny_engine.generate(prompt, max_new_tokens=1)
        assert len(tiny_engine.prefixes) == len(prompts)
    assert len(tiny_engine.prefixes) == tiny_engine.prefixes.max_entries


def test_the_likelihood_of_an_answer_can_be_asked_of_the_engine_and_cancelled(tiny_engine):
    found = tiny_engine.answer_likelihood(MESSAGES, "The Nile", sra=0.2)
    assert found.nats == pytest.approx(answer_likelihood(tiny_engine, MESSAGES, "The Nile", sra=0.2).nats, abs=1e-3)
    cancel = threading.Event()
    cancel.set()
    with tiny_engine.isolated(), pytest.raises(CancelledError):
        tiny_engine.answer_likelihood(MESSAGES, "The Nile", cancel=cancel)
