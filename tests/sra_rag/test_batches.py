"""Long prompts of a batch are read one by one, go on from earlier prefills, and give what each gives alone."""

import threading

import pytest
import torch
from transformers import DynamicCache

from sra_rag import Engine, SRAConfig
from sra_rag.generation.prefix_cache import cache_argument
from sra_rag.generation.prompt_reader import _LONG
from tests.sra_rag.tiny_models import tiny_model

PASSAGES = [
    " ".join(f"In {year} the yearly rent of the {place} was {year - 1900},400 crowns." for year in range(2000, last))
    for place, last in (("warehouse", 2016), ("mill", 2022), ("boathouse", 2019))
]
PROMPTS = [[{"role": "user", "content": f"{text}\n\nWhat was the rent in 2005?"}] for text in PASSAGES]


def alone(engine, **settings):
    fresh = Engine(engine.loaded, options=engine.options)
    return [
        fresh.generate(prompt, context=context, **settings).token_ids
        for prompt, context in zip(PROMPTS, PASSAGES, strict=True)
    ]


def test_the_prompts_are_long_enough_to_be_read_one_by_one(tiny_engine):
    lengths = [len(tiny_engine.encode(prompt).token_ids) for prompt in PROMPTS]
    assert min(lengths) >= _LONG
    assert len(set(lengths)) == len(lengths)  # so that the batch is padded


@pytest.mark.parametrize(
    "sra",
    [
        None,
        SRAConfig(alpha=0.4),
        SRAConfig(alpha=0.4, rows="after_context"),
        SRAConfig(alpha=0.4, rows="generated"),
        SRAConfig(alpha=0.4, bounds="observed"),
    ],
)
def test_a_batch_says_what_each_says_alone(tiny_engine, sra):
    batch = tiny_engine.generate_batch(PROMPTS, contexts=PASSAGES, sra=sra)
    assert [answer.token_ids for answer in batch] == alone(tiny_engine, sra=sra)


def test_a_batch_goes_on_from_earlier_prefills_and_leaves_some(tiny_engine):
    sra = SRAConfig(alpha=0.4, rows="after_context")
    with tiny_engine.prefixes.room(len(PROMPTS)):
        tiny_engine.generate_batch(PROMPTS, contexts=PASSAGES)
        sharpened = tiny_engine.generate_batch(PROMPTS, contexts=PASSAGES, sra=sra)
        assert [answer.usage.cached_tokens for answer in sharpened] == [a.context_length for a in sharpened]
        assert [answer.token_ids for answer in sharpened] == alone(tiny_engine, sra=sra)
        again = tiny_engine.generate(PROMPTS[1], context=PASSAGES[1], sra=sra)
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
        assert again.token_ids == sharpened[1].token_ids
    assert len(tiny_engine.prefixes) == tiny_engine.prefixes.max_entries


def test_questions_on_one_context_read_it_once(tiny_engine):
    questions = [f"{PASSAGES[0]}\n\nWhat was the rent in {year}?" for year in (2003, 2004, 2005)]
    prompts = [[{"role": "user", "content": text}] for text in questions]
    first, *others = tiny_engine.generate_batch(prompts, contexts=[PASSAGES[0]] * 3)
    assert first.usage.cached_tokens == 0
    assert all(answer.usage.cached_tokens >= answer.context_length for answer in others)


def test_a_batch_that_is_cancelled_while_it_reads(tiny_engine):
    cancel = threading.Event()
    cancel.set()
    answers = tiny_engine.generate_batch(PROMPTS, contexts=PASSAGES, cancel=cancel)
    assert [answer.finish_reason for answer in answers] == ["cancelled"] * len(PROMPTS)
    assert tiny_engine.generate(PROMPTS[0]).usage.cached_tokens == 0


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_a_cache_is_handed_over_by_the_name_that_transformers_has_for_it(name, recwarn):
    model = tiny_model(name, attention="sdpa")
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        for ids in ([5, 6, 7], [8]):
            model(torch.tensor([ids]), use_cache=True, **cache_argument(model, cache))
    assert cache.get_seq_length() == 4
    assert not [warning for warning in recwarn if "deprecated" in str(warning.message)]
