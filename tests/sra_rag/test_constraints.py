"""JSON that always ends in time, whatever a model would like to write."""

import enum
import json
from typing import Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from sra_rag.errors import ConfigError, MissingExtraError
from sra_rag.generation import constraints
from sra_rag.generation.constraints import JSONConstraint, JSONGrammars


class Colour(enum.Enum):
    RED = "red}"
    GREEN = 'gr"een]'


class Item(BaseModel):
    name: str
    price: float
    tags: list[str]


class Order(BaseModel):
    customer: str = Field(min_length=3)
    items: list[Item] = Field(min_length=1)
    colour: Colour
    kind: Literal["a", "b"]
    number: int = Field(ge=10, le=99)
    code: str = Field(pattern="^[a-z]{4}$")
    paid: bool
    note: str | None
    next: "Order | None"


class Loose(BaseModel):
    anything: dict[str, int]
    more: list[list[str]]


MODELS = [Item, Order, Loose]


@pytest.fixture(scope="module")
def grammars(tiny):
    return JSONGrammars(tiny.tokenizer, tiny.model.config.vocab_size, [tiny.tokenizer.eos_token_id])


def write(grammars, schema, max_new_tokens, seed, favoured=()):
    """Let random logits write JSON; `favoured` tokens are likelier."""
    constraint = JSONConstraint(grammars, schema, 1, max_new_tokens)
    generator = torch.Generator().manual_seed(seed)
    tokens = []
    for _ in range(max_new_tokens):
        scores = torch.randn(1, grammars.vocab_size, generator=generator)
        scores[:, list(favoured)] += 8
        scores = constraint.guard(None, constraint.mask(None, scores))
        tokens.append(int(scores.argmax()))
        if tokens[-1] in grammars.stop_token_ids:
            break
    return tokens


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(0, 40), seed=st.integers(0, 1000))
def test_whatever_the_model_prefers_the_json_is_whole(model, grammars, tiny, room, seed):
    schema = model.model_json_schema()
    shortest = len(JSONConstraint(grammars, schema, 1, 1000)._rows[0].closing)
    tokens = write(grammars, schema, shortest + room, seed)
    assert tokens[-1] in grammars.stop_token_ids
    model.model_validate_json(tiny.tokenizer.decode(tokens[:-1]))


def test_a_model_that_never_ends_a_string_is_ended(grammars, tiny):
    endless = tiny.tokenizer("and on and on", add_special_tokens=False).input_ids
    tokens = write(grammars, Item.model_json_schema(), 60, 0, favoured=endless)
    item = Item.model_validate_json(tiny.tokenizer.decode(tokens[:-1]))
    assert item.name.count("on") > 10  # it had its way for as long as there was room


def test_half_a_character_is_finished(grammars, tiny):
    bytes_of_emoji = tiny.tokenizer("😀🧮€", add_special_tokens=False).input_ids
    for room in range(16, 32):
        tokens = write(grammars, Item.model_json_schema(), room + 10, room, favoured=bytes_of_emoji)
        Item.model_validate_json(tiny.tokenizer.decode(tokens[:-1]))


def test_no_control_character_is_written(grammars, tiny):
    """xgrammar allows most of them in a string with a least length, where JSON has none."""
    control = [
        token
        for token in range(grammars.vocab_size)
        if any(ord(character) < 32 for character in tiny.tokenizer.decode([token]))
    ]
    assert len(control) > 30
    for schema in (Item.model_json_schema(), Order.model_json_schema(), {}):
        text = tiny.tokenizer.decode(write(grammars, schema, 120, 5, favoured=control)[:-1])
        json.loads(text)
        assert text.isprintable()


def test_any_json(grammars, tiny):
    json.loads(tiny.tokenizer.decode(write(grammars, {}, 12, 1)[:-1]))


def test_too_few_tokens_are_refused_before_any_work(grammars):
    with pytest.raises(ConfigError, match=r"max_new_tokens=5 is too small.*takes about \d+ tokens"):
        JSONConstraint(grammars, Order.model_json_schema(), 1, 5)


def test_a_schema_that_is_none_is_refused(grammars):
    with pytest.raises(ConfigError, match="schema cannot be followed"):
        JSONConstraint(grammars, {"type": "nonsense"}, 1, 50)


def test_without_the_extra_the_command_is_named(tiny, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "xgrammar" else found(name, *a))
    with pytest.raises(MissingExtraError, match=r"sra-rag\[structured\]"):
        constraints.JSONGrammars(tiny.tokenizer, 10, [2])


@pytest.mark.parametrize("options", [{}, {"temperature": 1.5, "seed": 3}, {"repetition_penalty": 1.3}])
def test_a_model_writes_valid_json(tiny_engine, options):
    ask = [{"role": "user", "content": "Describe an apple that costs two crowns."}]
    answer = tiny_engine.generate(ask, json_schema=Item.model_json_schema(), max_new_tokens=40, **options)
    assert answer.finish_reason == "stop"
    Item.model_validate_json(answer.text)


def test_each_sequence_of_a_batch_has_its_own(tiny_engine):
    prompts = [[{"role": "user", "content": text}] for text in ("Describe an apple.", "Describe a small red car.")]
    answers = tiny_engine.generate_batch(prompts, json_schema=Item.model_json_schema(), max_new_tokens=40)
    assert len({answer.text for answer in answers}) == 2
    for answer in answers:
        Item.model_validate_json(answer.text)
