"""`/v1/responses`, asked by OpenAI's own client over a real socket."""

import json

import openai
import pytest
from openai.types.responses import response_create_params
from pydantic import BaseModel

QUESTION = "What does the lease of the warehouse at Orrin Quay cost a year?"
QUOTED = "The lease of the warehouse at Orrin Quay costs 82,400 crowns a year"  # see `quoting`


@pytest.fixture(scope="module")
def client(lease_app, serving):
    with serving(lease_app) as address:
        yield openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)


def ask(client, **changes):
    return client.responses.create(**{"model": "sra-rag", "input": QUESTION, "max_output_tokens": 6, **changes})


def test_a_response_and_its_usage(client):
    response = ask(client, instructions="Be brief.", metadata={"chat": "7"}, store=True, temperature=0)
    assert response.output_text
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 6
    assert response.usage.total_tokens == response.usage.input_tokens + 6
    assert (response.instructions, response.metadata, response.model) == ("Be brief.", {"chat": "7"}, "sra-rag")
    assert response.store is False  # it is not kept, whatever was requested
    assert response.abstained == "nothing supported"


def test_the_same_answer_as_by_chat_completions(client):
    messages = [
        {"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Harl."},
        {"role": "user", "content": QUESTION},
    ]  # fmt: skip
    by_chat = client.chat.completions.create(
        model="sra-rag", messages=[{"role": "system", "content": "Be brief."}, *messages], max_tokens=6
    )
    by_response = ask(client, instructions="Be brief.", input=messages)
    assert by_response.output_text == by_chat.choices[0].message.content
    assert by_response.usage.input_tokens == by_chat.usage.prompt_tokens


def test_citations_are_annotations(client, quoting):
    response = ask(client)
    assert response.status == "completed"
    [note] = response.output[0].content[0].annotations
    assert (note.type, note.file_id, note.filename, note.index) == ("file_citation", "lease", "lease", len(QUOTED))
    assert (note.page_label, note.page_index) == ("2", 1)
    assert QUOTED in note.quote


def test_a_stream_has_the_events_of_openais_api_in_their_order(client, quoting):
    events = list(ask(client, stream=True))
    assert [event.type for event in events] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.delta", "response.output_text.annotation.added",
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == QUOTED
    whole = ask(client)
    last = events[-1].response
    assert last.id == events[0].response.id
    assert last.output[0].id == events[2].item.id
    assert last.output[0].content == whole.output[0].content
    assert last.usage == whole.usage


def test_the_clients_own_stream_helper(client, quoting):
    with client.responses.stream(model="sra-rag", input=QUESTION, max_output_tokens=6) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == ask(client).output_text


def test_a_conversation_continues_with_the_output_that_was_received(client, quoting):
    first = ask(client)
    sent = [{"role": "user", "content": QUESTION}, *[item.to_dict() for item in first.output]]
    assert ask(client, input=[*sent, {"role": "user", "content": "Until when?"}]).output_text == QUOTED


def test_answers_that_follow_a_schema(client):
    class Sum(BaseModel):
        total: int

    response = client.responses.parse(model="tiny", input="2 + 2?", text_format=Sum, max_output_tokens=20)
    assert isinstance(response.output_parsed, Sum)
    answer = client.responses.create(
        model="tiny", input="2 + 2?", text={"format": {"type": "json_object"}}, max_output_tokens=12
    )
    assert isinstance(json.loads(answer.output_text), dict)


def test_an_error_within_a_stream_ends_it_as_failed(client, lease_app, monkeypatch):
    def broken(retrieval, **arguments):
        yield "The rent"
        raise KeyError("/srv/secret")

    monkeypatch.setattr(lease_app.state.completions.qa, "stream", broken)
    *_, last = ask(client, stream=True)
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert last.response.error.code == "server_error"
    assert "secret" not in last.response.error.message


NEUTRAL = {
    "access_programs": None, "background": False, "background_options": None, "context_management": [],
    "conversation": None, "image": None, "include": ["reasoning.encrypted_content"], "instructions": None,
    "max_output_tokens": 2, "max_tool_calls": 3, "metadata": {}, "moderation": None, "parallel_tool_calls": True,
    "previous_response_id": None, "prompt": None, "prompt_cache_key": "k", "prompt_cache_options": None,
    "prompt_cache_retention": "24h", "reasoning": {"effort": "none", "summary": "auto"}, "safety_identifier": "s",
    "service_tier": "auto", "store": True, "stream": False, "stream_options": {"include_obfuscation": False},
    "temperature": 0, "text": {"format": {"type": "text"}, "verbosity": "medium"}, "tool_choice": "auto", "tools": [],
    "top_logprobs": 0, "top_p": 1, "truncation": "disabled", "user": "u",
}  # fmt: skip


def test_every_field_of_openais_api_is_accepted_with_a_neutral_value_and_as_null(lease_client):
    known = set(response_create_params.ResponseCreateParamsBase.__annotations__) | {"stream"}
    assert known - {"model", "input"} == set(NEUTRAL)
    for changes in (NEUTRAL, dict.fromkeys(NEUTRAL) | {"max_output_tokens": 2}):
        response = lease_client.post("/v1/responses", json={"model": "sra-rag", "input": QUESTION} | changes)
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"foo": 1}, "foo"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": "x", "foo": 1}]}, "input.0.foo"),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]}, "input.0"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input.0.content.0"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
        ({"text": {"format": {"type": "text"}, "foo": 1}}, "text.foo"),
        ({"stream_options": {"foo": 1}}, "stream_options.foo"),
        ({"sra": "off", "seed": 1}, "seed"),
        ({"model": "gpt"}, "model"),
        ({"input": [{"role": "assistant", "content": "x"}]}, "input"),
    ],
)
def test_what_is_not_supported_is_rejected_by_name(lease_client, changes, field):
    for stream in (False, True):
        body = {"model": "sra-rag", "input": QUESTION, "stream": stream} | changes
        response = lease_client.post("/v1/responses", json=body)
        assert response.status_code == (404 if "model" in changes else 400)
        assert response.json()["error"]["param"] == field


def test_responses_are_not_stored(client):
    with pytest.raises(openai.NotFoundError, match="not stored"):
        client.responses.retrieve("resp_1")
    with pytest.raises(openai.NotFoundError, match="not stored"):
        client.responses.delete("resp_1")
    with pytest.raises(openai.NotFoundError, match="not stored"):
        client.responses.cancel("resp_1")
    with pytest.raises(openai.NotFoundError, match="not stored"):
        client.responses.input_items.list("resp_1")
