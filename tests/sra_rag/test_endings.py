"""An answer does not end directly after a colon."""

import contextlib

import pytest
import torch

from sra_rag import Engine, SamplingOptions
from sra_rag.generation.logits_processors import NoEndAfterColon

INTRODUCTION = "The answer is:"
VALUE = " nine years."
PROMPT = "What is the term?"


def may_end(tokenizer, *answers):
    """Return for each answer (tokens) of a batch whether it may end."""
    end = tokenizer.eos_token_id
    width = max(map(len, answers))
    prompt = tokenizer(INTRODUCTION, add_special_tokens=False).input_ids
    ids = torch.tensor([prompt + [end] * (width - len(answer)) + answer for answer in answers])
    scores = torch.zeros(len(answers), len(tokenizer))
    left = NoEndAfterColon(tokenizer, len(prompt), [end])(ids, scores)
    assert scores.eq(0).all(), "the logits that were given are not changed in place"
    assert left.isneginf().sum() == left[:, end].isneginf().sum(), "no other token is masked"
    return [not masked for masked in left[:, end].isneginf().tolist()]


def tokens(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("text", [INTRODUCTION, "The parties are: ", "It says:\n\n", "\u7b54\u6848\uff1a"])
def test_an_introduction_cannot_be_the_end(tiny, text):
    assert may_end(tiny.tokenizer, tokens(tiny.tokenizer, text)) == [False]


@pytest.mark.parametrize("text", ["82,400 crowns.", "At 10:30", "Rent: 82,400", ""])
def test_other_texts_may_end(tiny, text):
    assert may_end(tiny.tokenizer, tokens(tiny.tokenizer, text)) == [True]


def test_each_answer_of_a_batch_is_looked_at(tiny):
    texts = ["The parties are:", "82,400 crowns.", "It says:"]
    assert may_end(tiny.tokenizer, *(tokens(tiny.tokenizer, text) for text in texts)) == [False, True, False]


def test_a_model_that_writes_only_line_breaks_may_end(tiny):
    [line_break] = tokens(tiny.tokenizer, "\n")
    introduction = tokens(tiny.tokenizer, INTRODUCTION)
    allowed = [may_end(tiny.tokenizer, introduction + [line_break] * count) for count in range(8)]
    assert allowed[0] == [False]
    assert allowed[-1] == [True]


@contextlib.contextmanager
def a_model_that_wants_to_end(loaded):
    """Make a model write the introduction and end; only where it cannot end does it write the value, and then end."""
    tokenizer = loaded.tokenizer
    before, after = tokens(tokenizer, INTRODUCTION), tokens(tokenizer, VALUE)
    prompt_length = []

    def bias(module, arguments, keywords, output):
        length = output.past_key_values.get_seq_length()
        if not prompt_length:
            prompt_length.append(length)
        step = length - prompt_length[0]
        output.logits[:, -1] = -1e9
        if step < len(before):
            output.logits[:, -1, before[step]] = 0
        else:
            output.logits[:, -1, tokenizer.eos_token_id] = 0
            output.logits[:, -1, ([*after, tokenizer.eos_token_id])[min(step - len(before), len(after))]] = -1
            if len(before) < step < len(before) + len(after):
                output.logits[:, -1, tokenizer.eos_token_id] = -2
        return output

    handle = loaded.model.register_forward_hook(bias, with_kwargs=True)
    try:
        yield prompt_length
    finally:
        handle.remove()


def test_an_engine_writes_what_was_introduced(tiny):
    with a_model_that_wants_to_end(tiny) as started:
        engine = Engine(tiny, options=SamplingOptions(max_new_tokens=30), max_prefixes=0)
        generation = engine.generate(PROMPT)
        started.clear()
        *deltas, last = engine.stream(PROMPT)
        started.clear()
        batch = engine.generate_batch([PROMPT, PROMPT])
        started.clear()
        ended = engine.generate(PROMPT, end_after_colon=True)
    assert generation.text == INTRODUCTION + VALUE
    assert generation.finish_reason == "stop"
    assert "".join(delta.text for delta in [*deltas, last]) == last.generation.text == generation.text
    assert [answer.text for answer in batch] == [generation.text] * 2
    assert ended.text == INTRODUCTION
