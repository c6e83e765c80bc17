"""A JSON schema holds nothing up: it is refused before it is compiled, or compiled elsewhere within limits."""

import json
import threading
import time

import httpx
import pytest
import xgrammar
from sra_pipelines import DocumentQA
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.server import ServerSettings, create_app

from sra_rag import Engine
from sra_rag.errors import ConfigError
from sra_rag.generation.constraints import JSONGrammars
from sra_rag.generation.grammar.compiling_process import CompilingProcess
from sra_rag.generation.grammar.schema_limits import compiles_at_once, require_compilable


def record(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def nested_choice(depth):
    if depth == 0:
        return {"type": "string"}
    return {"anyOf": [record(a=nested_choice(depth - 1)), record(b=nested_choice(depth - 1))]}


def nested_list(depth):
    schema = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


TOO_LARGE = {
    "enum": ({"enum": [f"value {i}" for i in range(20_000)]}, "more values; at most 5,000"),
    "some enum": ({"enum": [f"value {i}" for i in range(1_001)]}, "1,001 enum values; at most 1,000"),
    "properties": (record(**{f"p{i}": {"type": "string"} for i in range(3_000)}), "at most"),
    "alternatives": (nested_choice(14), "at most"),
    "levels": (nested_list(10_000), "more nested levels; at most 64"),
    "text": ({"description": "a" * 200_000}, "200,019 characters; at most 100,000"),
    "bound": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
        "minItems=1000000000; at most 10,000",
    ),
    "infinity": ({"type": "string", "maxLength": float("inf")}, "maxLength=inf"),
    "pattern": ({"type": "string", "pattern": "^" + "(ab|c)" * 200 + "$"}, "pattern of 1,202 characters"),
    "repetition": ({"type": "string", "pattern": "^((a{1,90}){1,90}){1,90}$"}, "up to 729,000 times; at most 1,000"),
}
UNSUPPORTED = {
    "not": (record(a={"not": {"type": "string"}}), "uses 'not'"),
    "not in a list": ({"anyOf": [{"type": "string"}, {"not": {}}]}, "uses 'not'"),
    "not in a definition": ({"$defs": {"a": {"not": {}}}, "$ref": "#/$defs/a"}, "uses 'not'"),
    "condition": ({"if": {"type": "string"}, "then": {"minLength": 1}}, "uses 'if', 'then'"),
    "address": (record(a={"$ref": "http://127.0.0.1:9/schema.json"}), "refers to 'http://127.0.0.1:9/schema.json'"),
    "file": ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
    "other file": ({"$ref": "other.json#/a"}, "refers to 'other.json#/a'"),
}


@pytest.fixture(scope="module")
def grammars(tiny):
    return JSONGrammars(tiny.tokenizer, tiny.model.config.vocab_size, [tiny.tokenizer.eos_token_id])


@pytest.mark.parametrize("name", [*TOO_LARGE, *UNSUPPORTED])
def test_a_schema_is_refused_before_it_is_compiled(grammars, monkeypatch, name):
    schema, reason = (TOO_LARGE | UNSUPPORTED)[name]
    monkeypatch.setattr(grammars, "_compiler", None)
    monkeypatch.setattr(grammars, "_process", None)
    with pytest.raises(ConfigError) as raised:
        grammars.compile(schema)
    assert reason in str(raised.value)


def test_names_and_values_are_not_keywords():
    require_compilable(record(**{"not": {"type": "string"}, "$ref": {"enum": [{"not": 1, "$ref": "http://a"}]}}))
    require_compilable({"const": {"if": 1}, "default": {"not": {}}, "additionalProperties": False})


def test_a_schema_that_is_not_small_gives_the_same_grammar_in_the_other_process(grammars):
    schema = record(code={"type": "string", "pattern": "^[a-z]{2}$"}, city={"enum": ["Orrin", "Quay"]})
    assert not compiles_at_once(schema)
    assert compiles_at_once(record(a={"type": "string"}, b={"type": "array", "items": {"type": "integer"}}))
    grammar = grammars.compile(schema)
    for text, expected in (('{"code": "ab", "city": "Quay"}', True), ('{"code": "a1", "city": "Quay"}', False)):
        assert xgrammar.GrammarMatcher(grammar).accept_string(text) is expected
    assert grammars.compile(schema) is grammar  # not compiled again


def test_a_schema_that_takes_too_long_is_stopped_and_the_next_one_compiled(grammars):
    heavy = json.dumps(record(**{f"p{i}": {"enum": [f"{i} {j}" for j in range(200)]} for i in range(400)}))
    process = CompilingProcess(grammars._info.serialize_json(), seconds=0.5)
    process.compile("{}")  # started
    start = time.monotonic()
    with pytest.raises(ConfigError, match="too large: compiling it takes more than 0.5 s or 537 MB"):
        process.compile(heavy)
    assert time.monotonic() - start < 5
    with pytest.raises(ConfigError, match="cannot be followed"):
        process.compile('{"type": "no type"}')
    assert "root" in process.compile('{"type": "integer"}')
    process.close()


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="memory is limited on Linux")
def test_a_schema_that_takes_too_much_memory_is_stopped(grammars):
    heavy = json.dumps(record(**{f"p{i}": {"enum": [f"{i} {j}" for j in range(200)]} for i in range(400)}))
    process = CompilingProcess(grammars._info.serialize_json(), seconds=60, memory_bytes=8 << 20)
    with pytest.raises(ConfigError, match="too large"):
        process.compile(heavy)
    process.close()


def test_the_server_answers_others_while_a_schema_is_compiled(tiny, word_embedding, serving):
    schema = {"type": "string", "pattern": "^([a-z]{1,25}-){1,25}$"}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    app = create_app(DocumentQA(DocumentIndex([], word_embedding), Engine(tiny)), ServerSettings(max_new_tokens=4))
    with serving(app) as address, httpx.Client(base_url=address, timeout=100) as client:
        name = client.get("/v1/models").json()["data"][1]["id"]
        body = {"model": name, "messages": [{"role": "user", "content": "a"}], "response_format": form}
        answers = []
        thread = threading.Thread(target=lambda: answers.append(client.post("/v1/chat/completions", json=body)))
        thread.start()
        slowest = 0.0
        while thread.is_alive():
            start = time.monotonic()
            assert client.get("/health").status_code == 200
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(0.05)
        assert slowest < 1
        assert answers[0].status_code in (200, 400)
        refused = client.post("/v1/chat/completions", json={**body, "response_format": {**form, "json_schema": {
            "name": "a", "schema": {"enum": [str(i) for i in range(20_000)]}}}})  # fmt: skip
        assert refused.status_code == 400
        assert "too large" in refused.json()["error"]["message"]
