"""Fields of requests: what common clients send is accepted, what cannot be honoured is rejected by name."""

import contextlib
import json
import logging

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import completion_create_params
from pydantic import ValidationError
from sra_pipelines import DocumentQA
from sra_pipelines.index.memory import DocumentIndex
from sra_pipelines.server import ServerSettings, create_app
from sra_pipelines.server.api.answer_request import AnswerRequest
from sra_pipelines.server.api.request_bodies import ChatRequest
from sra_pipelines.server.api.response_bodies import ResponsesRequest

from sra_rag import SamplingOptions
from sra_rag.errors import PromptError, SRAError

ROUTE = "/v1/chat/completions"
USER = {"role": "user", "content": "What is the yearly rent?"}
BODY = {"model": "sra-rag", "messages": [USER], "max_tokens": 2}


def error_of(response):
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    return response.json()["error"]


NEUTRAL = {
    "audio": None, "frequency_penalty": 0.0, "function_call": "none", "functions": [], "logit_bias": {},
    "logprobs": False, "max_completion_tokens": None, "max_tokens": 2, "metadata": {"chat": "7"},
    "modalities": ["text"], "moderation": None, "n": 1, "parallel_tool_calls": True, "prediction": None,
    "presence_penalty": 0, "prompt_cache_key": "k", "prompt_cache_options": None, "prompt_cache_retention": "24h",
    "reasoning_effort": None, "response_format": {"type": "text"}, "safety_identifier": "s", "seed": 7,
    "service_tier": "auto", "stop": [], "store": False, "stream": False, "stream_options": None, "temperature": 0,
    "tool_choice": "auto", "tools": [], "top_logprobs": None, "top_p": 1, "user": "u", "verbosity": None,
    "web_search_options": None,
}  # fmt: skip


def test_every_field_of_openais_api_is_accepted_with_a_neutral_value_and_as_null(lease_client):
    known = set(completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"}
    assert known - {"model", "messages"} == set(NEUTRAL)
    plain = lease_client.post(ROUTE, json=BODY).json()
    for changes in (NEUTRAL, dict.fromkeys(NEUTRAL) | {"max_tokens": 2}):
        response = lease_client.post(ROUTE, json=BODY | changes)
        assert response.status_code == 200, response.text
        assert response.json()["choices"] == plain["choices"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n": 2}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"foo": 1}, "foo"),
        ({"foo": None}, "foo"),
        ({"messages": [USER | {"foo": 1}]}, "messages.0.foo"),
        ({"messages": [{"role": "tool", "content": "x"}, USER]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}, USER]}, "messages.0.tool_calls"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content.0",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "foo": 1}]}]},
            "messages.0.content.0.foo",
        ),
        ({"messages": [USER | {"name": "Ann"}, USER | {"name": "Ben"}]}, ""),
        ({"stream_options": {"include_usage": True, "foo": 1}}, "stream_options.foo"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"response_format": {"type": "json_object", "foo": 1}}, "response_format.foo"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"response_format": {"type": "text", "json_schema": {"schema": {}}}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "foo": 1}}},
            "response_format.json_schema.foo",
        ),
        ({"stop": [""]}, "stop.0"),
        ({"stop": ""}, "stop.0"),
        ({"stop": ["x", None]}, "stop.1"),
        ({"stop": 5}, "stop"),
        ({"seed": 2**64}, "seed"),
        ({"seed": -(2**63) - 1}, "seed"),
        ({"temperature": -1}, "temperature"),
        ({"sra": True}, "sra"),
        ({"sra": "/etc/passwd"}, "sra"),
        ({"sra": {"alpha": 0.1, "foo": 1}}, "sra"),
        ({"sra": 1e308}, "sra"),
        ({"sra": 10**400}, "sra"),
        ({"sra": {"alpha": [1e308, 0]}}, "sra"),
        ({"sra": {"evidence": {"weight": 10**400}}}, "sra"),
        ({"sra": {"bounds": [0, 10**400]}}, "sra"),
        ({"metadata": {"a": json.loads("[" * 120 + "]" * 120)}}, ""),
    ],
)
def test_what_would_change_the_answer_and_is_not_supported_is_rejected_by_name(lease_client, changes, field):
    for stream in (False, True):
        response = lease_client.post(ROUTE, json=BODY | {"stream": stream} | changes)
        assert response.status_code == 400, response.text
        error = error_of(response)
        assert (error["param"] or "") == field
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith(f"{field}: " if field else "")


@pytest.mark.parametrize(
    "changes",
    [
        {"min_p": 0, "top_k": 0},
        {"top_k": -1},
        {"max_tokens": -1, "max_completion_tokens": 2},  # llama.cpp and LM Studio: no limit
        {"messages": [USER, {"role": "assistant", "content": "x", "reasoning_content": None, "reasoning": ""}, USER]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": USER["content"], "cache_control": {"type": "ephemeral"}}],
                }
            ]
        },
    ],
)
def test_values_that_switch_an_option_off_are_accepted(lease_client, changes):
    response = lease_client.post(ROUTE, json=BODY | changes)
    assert response.status_code == 200, response.text
    plain = lease_client.post(ROUTE, json=BODY).json()
    if "messages" not in changes:
        assert response.json()["choices"] == plain["choices"]


def test_a_value_is_named_once_in_a_refusal(lease_client):
    error = error_of(lease_client.post(ROUTE, json=BODY | {"n": 2}))
    assert error["message"] == "n: 2 is not supported here. Give 1 or null, or omit the field."
    error = error_of(lease_client.post(ROUTE, json=BODY | {"temperature": -1}))
    assert error["message"].endswith("(given: -1)")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": [USER | {"content": " "}]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "It"}]}, "messages"),
        ({"messages": [USER | {"content": "rent " * 30_000}]}, "messages"),
        ({"model": "gpt-4o"}, "model"),
    ],
)
def test_what_is_found_after_the_validation_is_named_too(lease_client, changes, field):
    assert error_of(lease_client.post(ROUTE, json=BODY | changes))["param"] == field
    if field == "messages":
        body = {"model": "sra-rag", "input": changes["messages"]}
        assert error_of(lease_client.post("/v1/responses", json=body))["param"] == "input"


@pytest.mark.parametrize(
    ("method", "route", "says"),
    [
        (
            "POST",
            "/chat/completions",
            "Did you mean /v1/chat/completions? The base URL that a client needs ends with /v1.",
        ),
        ("GET", "/models/", "Did you mean /v1/models?"),
        ("POST", "/v1/completions", "Use /v1/chat/completions."),
        ("POST", "/v1/embeddings", "no embeddings"),
        (
            "POST",
            "/api/chat",
            "The routes of the API are /v1/chat/completions, /v1/responses, /v1/models, /v1/documents.",
        ),
        ("GET", ROUTE, "GET is not allowed for /v1/chat/completions. Use POST."),
    ],
)
def test_a_wrong_address_is_answered_with_the_right_one(lease_client, method, route, says):
    assert says in error_of(lease_client.request(method, route))["message"]


def test_an_address_that_ends_with_a_slash_lists_the_models(lease_client):
    assert lease_client.get("/v1/models/").json() == lease_client.get("/v1/models").json()


@pytest.mark.parametrize(
    ("route", "body"), [(ROUTE, BODY), ("/v1/responses", {"model": "sra-rag", "input": USER["content"]})]
)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("stream", ["false", "true"])
def test_numbers_that_json_does_not_have_are_rejected_by_name(lease_client, route, body, number, stream):
    given = json.dumps(body)[:-1] + f', "stream": {stream}, "metadata": {{"a": [1, {number}]}}}}'
    response = lease_client.post(route, content=given, headers={"Content-Type": "application/json"})
    assert response.status_code == 400, response.text
    assert error_of(response)["param"] == "metadata.a.1"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "http://example.org/schema"},
        {"not": {}},
        {"type": "string", "pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_followed_is_rejected_by_the_name_of_its_field(lease_client, schema):
    chat = lease_client.post(
        ROUTE,
        json=BODY | {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}},
    )
    text = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    responses = lease_client.post("/v1/responses", json={"model": "tiny", "input": "?", "text": text})
    for response, field in ((chat, "response_format"), (responses, "text.format")):
        assert response.status_code == 400, response.text
        error = error_of(response)
        assert error["param"] == field
        assert ".cc:" not in error["message"]  # a line of the compiler's source
        assert "\n" not in error["message"]
        assert schema.get("$ref", "") in error["message"]


def test_a_question_that_leaves_no_room_is_said_to_be_too_long(lease_client):
    question = [{"role": "user", "content": "the yearly rent " * 3000}]
    response = lease_client.post(ROUTE, json=BODY | {"messages": question})
    assert response.status_code == 400
    assert error_of(response)["code"] == "context_length_exceeded"


def test_a_schema_that_is_missing_is_called_missing(lease_client):
    response = lease_client.post(ROUTE, json=BODY | {"response_format": {"type": "json_schema"}})
    assert "the schema is missing" in error_of(response)["message"]


def test_messages_as_clients_send_them_back_are_read_like_plain_ones(lease_client):
    plain = [USER, {"role": "assistant", "content": "82,400 crowns."}, {"role": "user", "content": "Until when?"}]
    assistant = {
        "role": "assistant", "content": [{"type": "text", "text": "82,400 crowns."}], "refusal": None, "audio": None,
        "annotations": [], "function_call": None, "tool_calls": None,
    }  # fmt: skip
    given = [
        {"role": "user", "content": [{"type": "text", "text": USER["content"]}], "name": "Ann"},
        assistant,
        plain[2],
    ]
    for model in ("sra-rag", "tiny"):
        one, other = (lease_client.post(ROUTE, json=BODY | {"model": model, "messages": m}) for m in (plain, given))
        assert one.json()["choices"] == other.json()["choices"]
        assert one.json()["usage"]["prompt_tokens"] == other.json()["usage"]["prompt_tokens"]


def test_no_message_of_a_conversation_is_dropped():
    messages = (
        ("system", "Be brief."), ("assistant", "Hello!"), ("assistant", "Ask me."), ("user", "Who?"), ("user", "When?"),
        ("assistant", "Harl."), ("developer", "In French."), ("assistant", ""), ("user", "Where?"),
    )  # fmt: skip
    asked = AnswerRequest("sra-rag", messages, None, {}).document_question()
    assert asked.question == "Where?"
    assert asked.history == (("", "Hello!\nAsk me."), ("Who?\nWhen?", "Harl.\n"))
    assert asked.instruction == "Be brief.\n\nIn French."
    with pytest.raises(PromptError, match="Send the question last"):
        AnswerRequest("sra-rag", messages[:-1], None, {}).document_question()


def test_a_greeting_and_a_system_message_reach_the_model(lease_client, lease_qa, monkeypatch):
    prompts = []
    stream = lease_qa.engine.stream

    def recorded(messages, **arguments):
        prompts.append(messages)
        return stream(messages, **arguments)

    monkeypatch.setattr(lease_qa.engine, "stream", recorded)
    messages = [{"role": "system", "content": "Answer in French."}, {"role": "assistant", "content": "Bonjour"}, USER]
    response = lease_client.post(ROUTE, json=BODY | {"messages": messages})
    assert response.status_code == 200, response.text
    [[prompt]] = prompts
    assert prompt["content"].startswith(f"Answer in French.\n\n{lease_qa.preset.instruction}\n\n")
    without = lease_client.post(ROUTE, json=BODY | {"messages": messages[1:]})
    assert without.json()["usage"]["prompt_tokens"] < response.json()["usage"]["prompt_tokens"]


def test_sampling_options_beyond_openais_are_honoured():
    body = BODY | {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2}
    options = ChatRequest.model_validate(body).answer_request(ServerSettings()).options
    assert {name: options[name] for name in ("top_k", "min_p", "repetition_penalty")} == {
        "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2,
    }  # fmt: skip


@pytest.mark.parametrize("model", ["sra-rag", "tiny"])
def test_half_of_a_surrogate_pair_is_read_as_a_replacement_character(lease_client, caplog, model):
    def post(text):
        content = json.dumps(BODY | {"model": model, "messages": [{"role": "user", "content": "?"}]})
        return lease_client.post(
            ROUTE, content=content.replace('"?"', f'"{text}"'), headers={"Content-Type": "application/json"}
        )

    with caplog.at_level(logging.ERROR):
        for half in (r"\ud800", r"\udc00", r"\udc00\ud800"):
            whole = r"\ufffd" * half.count("u")
            one, other = post(f"rent {half} ?"), post(f"rent {whole} ?")
            assert one.status_code == 200, one.text
            assert one.json()["choices"] == other.json()["choices"]
    assert not caplog.records
    assert post(r"\ud83d\ude00 rent").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        '{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}',
        '{"model": "sra-rag", "messages": [{"role": "user", "content": "x"}], "\\ud800": 1}',
        '{"model": "sra-rag", "messages": [{"role": "user", "content": "x"}], "sra": "\\udfff"}',
        '{"model": "sra-rag", "messages": [{"role": "user", "content": "x"}], "stop": "\\udfff", "seed": "\\ud800"}',
        '{"model": "sra-rag"',
        "[]",
        "",
        "null",
        "[" * 100_000,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"model": "sra-rag", "seed": ' + "9" * 5000 + "}",
        b"\xff\xfe",
        b'{"model": "\xed\xa0\x80"}',
    ],
    ids=range(13),
)
def test_bodies_that_are_damaged_are_rejected_as_json(lease_client, caplog, content):
    with caplog.at_level(logging.ERROR):
        response = lease_client.post(ROUTE, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 404), response.text
    assert error_of(response)["message"]
    assert not caplog.records


def test_json_mode_gives_an_object(lease_client):
    for model in ("sra-rag", "tiny"):
        for seed in range(4):
            body = BODY | {"model": model, "max_tokens": 12, "seed": seed, "temperature": 2}
            response = lease_client.post(ROUTE, json=body | {"response_format": {"type": "json_object"}})
            assert isinstance(json.loads(response.json()["choices"][0]["message"]["content"]), dict)


def test_json_mode_gives_an_object_where_nothing_was_found(lease_qa, word_embedding):
    qa = DocumentQA(DocumentIndex([], word_embedding), lease_qa.engine)
    client = TestClient(create_app(qa), base_url="http://127.0.0.1")
    answer = client.post(ROUTE, json=BODY | {"max_tokens": 12, "response_format": {"type": "json_object"}}).json()
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)
    assert answer["abstained"] == "nothing found"
    [batched] = qa.batch(["What?"], json_schema={"type": "object"}, max_new_tokens=12)
    assert isinstance(json.loads(batched.text), dict)
    assert batched.abstained == "nothing found"


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from([2**63, 2**64, -(2**70), 10**400, 1e308]),
    st.text(max_size=8), st.sampled_from(["\ud800", "auto", "text", "json_schema", "user", "off", "evidence=2"]),
)  # fmt: skip
NAMES = st.sampled_from(
    ["type", "role", "content", "text", "json_schema", "schema", "alpha", "evidence", "weight", "x"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@pytest.mark.parametrize(
    ("kind", "body"), [(ChatRequest, BODY), (ResponsesRequest, {"model": "sra-rag", "input": "Who?"})]
)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_a_field_holds_is_accepted_or_rejected_and_nothing_else(kind, body, data):
    fields = [field.alias or name for name, field in kind.model_fields.items()]
    changes = data.draw(st.dictionaries(st.sampled_from(fields), VALUES, min_size=1, max_size=2))
    with contextlib.suppress(ValidationError, SRAError):  # status 400
        request = kind.model_validate(body | changes).answer_request(ServerSettings())
        SamplingOptions(**request.options)
        request.document_question()
