"""The likelihood of an answer: equal to that of one plain forward pass, and to what generation sees."""

import pytest
import torch

from sra_rag import SRAConfig, reattend
from sra_rag.attention.shares import AttentionShares
from sra_rag.errors import ContextOverflowError, PromptError
from sra_rag.generation import engine as engine_module
from sra_rag.generation import likelihood as module
from sra_rag.generation.likelihood import answer_likelihood

CONTEXT = "The rent is 82,400 crowns a year. " * 6
QUESTION = "What is the rent?"
MESSAGES = [{"role": "user", "content": f"{CONTEXT}\n\n{QUESTION}"}]
SETTINGS = [
    None,
    SRAConfig(alpha=0.5),
    SRAConfig(alpha=0.5, rows="after_context"),
    SRAConfig(alpha=0.5, rows="generated"),
    SRAConfig(alpha=0.5, bounds="observed"),
    SRAConfig(policy="constant", alpha=0.2),
]


@torch.inference_mode()
def spelled_out(engine, answer, sra):
    """One forward pass over prompt and answer, rows picked by hand."""
    prompt = engine.encode(MESSAGES, context=CONTEXT)
    ids = engine.loaded.tokenizer(answer, add_special_tokens=False).input_ids
    n = len(prompt.token_ids)
    with reattend(engine.loaded.model, sra, context_length=prompt.context_length, prompt_length=n):
        logits = engine.loaded.model(input_ids=torch.tensor([[*prompt.token_ids, *ids]])).logits[0].float()
    return [torch.log_softmax(logits[n - 1 + i], -1)[token].item() for i, token in enumerate(ids)]


@pytest.mark.parametrize("sra", SETTINGS[:4] + SETTINGS[5:], ids=str)
@pytest.mark.parametrize("chunk", [32, 1024])
def test_it_is_that_of_one_forward_pass(tiny_engine, sra, chunk, monkeypatch):
    monkeypatch.setattr(module, "PREFILL_CHUNK", chunk)
    found = answer_likelihood(tiny_engine, MESSAGES, "82,400 crowns", context=CONTEXT, sra=sra)
    assert found.log_probabilities == pytest.approx(spelled_out(tiny_engine, "82,400 crowns", sra), abs=2e-3)
    assert found.nats == pytest.approx(-sum(found.log_probabilities))
    assert found.nats_per_token == pytest.approx(found.nats / len(found.log_probabilities))


@pytest.mark.parametrize("sra", SETTINGS, ids=str)
def test_the_greedy_answer_is_likeliest_token_by_token(engine, sra):
    said = engine.generate(MESSAGES, context=CONTEXT, sra=sra, max_new_tokens=8)
    engine.prefixes.clear()
    found = answer_likelihood(engine, MESSAGES, said.text, context=CONTEXT, sra=sra)
    other = answer_likelihood(engine, MESSAGES, "Purple elephants", context=CONTEXT, sra=sra)
    assert found.log_probabilities[0] > other.log_probabilities[0]
    assert found.nats_per_token < other.nats_per_token


def test_settings_change_it(tiny_engine):
    nats = [answer_likelihood(tiny_engine, MESSAGES, "82,400", context=CONTEXT, sra=sra).nats for sra in SETTINGS]
    assert nats[3] != nats[0]  # rows of the answer behind its first token
    assert len({round(value, 6) for value in nats}) == len(nats)


def test_prefills_are_shared_between_answers_and_settings_that_leave_the_context(tiny_engine):
    first = answer_likelihood(tiny_engine, MESSAGES, "82,400", context=CONTEXT)
    again = answer_likelihood(tiny_engine, MESSAGES, "nothing", context=CONTEXT)
    after = answer_likelihood(tiny_engine, MESSAGES, "82,400", context=CONTEXT, sra=SETTINGS[2])
    every = answer_likelihood(tiny_engine, MESSAGES, "82,400", context=CONTEXT, sra=SETTINGS[1])
    context_length = tiny_engine.encode(MESSAGES, context=CONTEXT).context_length
    assert (first.cached_tokens, again.cached_tokens) == (0, first.prompt_tokens - 1)
    assert (after.cached_tokens, every.cached_tokens) == (context_length, 0)
    said = tiny_engine.generate(MESSAGES, context=CONTEXT, sra=SETTINGS[1], max_new_tokens=2)
    assert said.usage.cached_tokens == every.prompt_tokens - 1


def test_looking_at_a_given_answer_sees_what_generation_saw_and_changes_nothing(tiny_engine):
    prompt = tiny_engine.encode(MESSAGES, context=CONTEXT)
    spans = [(0, prompt.context_length), (prompt.context_length, len(prompt.token_ids))]
    for sra in (None, SETTINGS[1], SETTINGS[2]):
        while_written, given = (AttentionShares(spans, len(prompt.token_ids)) for _ in range(2))
        said = tiny_engine.generate(MESSAGES, context=CONTEXT, sra=sra, shares=while_written, max_new_tokens=6)
        plain = answer_likelihood(tiny_engine, MESSAGES, said.text, context=CONTEXT, sra=sra)
        looked = answer_likelihood(tiny_engine, MESSAGES, said.text, context=CONTEXT, sra=sra, shares=given)
        assert looked.nats == pytest.approx(plain.nats, abs=0.05)  # one more row changes bfloat16's rounding
        assert given.n_tokens == len(plain.log_probabilities)
        seen = while_written.by_token()
        torch.testing.assert_close(given.by_token()[: len(seen)], seen, atol=0.01, rtol=0.1)


def test_control_tokens_in_an_answer_stay_text(tiny_engine):
    end = tiny_engine.loaded.tokenizer.eos_token
    found = answer_likelihood(tiny_engine, MESSAGES, f"82{end}")
    assert len(found.log_probabilities) > len(answer_likelihood(tiny_engine, MESSAGES, "82").log_probabilities) + 1


def test_what_cannot_be_measured_is_refused(tiny_engine):
    with pytest.raises(PromptError, match="empty"):
        answer_likelihood(tiny_engine, MESSAGES, "")
    with pytest.raises(ContextOverflowError):
        answer_likelihood(tiny_engine, MESSAGES, "word " * tiny_engine.context_window)


def test_chunks_are_those_of_generation():
    assert module.PREFILL_CHUNK is engine_module.PREFILL_CHUNK
