"""Tool calls in the manners of several models: told, read, forced, and held back while they stream."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sra_rag.errors import ConfigError
from sra_rag.generation.tools import (
    ToolCallFilter,
    call_schema,
    describe_tools,
    has_tools,
    parse_tool_calls,
    template_arguments,
)

PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Does it.", "parameters": PARAMETERS}}
    for name in ("double", "half")
]
NAMES = ["double", "half"]
CALL = '{"name": "double", "arguments": {"x": 3}}'


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call><|im_end|>", "", [("double", 3)]),
        (f"I will.\n<tool_call>{CALL}</tool_call>\n<tool_call>{CALL.replace('3', '4')}", "I will.",
         [("double", 3), ("double", 4)]),
        ('{"name": "half", "parameters": {"x": 3}}<|eot_id|>', "", [("half", 3)]),
        ('<|python_tag|>{"name": "half", "parameters": {"x": 3}}; {"name": "double", "parameters": {"x": 1}}', "",
         [("half", 3), ("double", 1)]),
        (f"[TOOL_CALLS][{CALL}]</s>", "", [("double", 3)]),
        (f"[TOOL_CALLS] [{CALL}, {CALL}]", "", [("double", 3), ("double", 3)]),
        ('[TOOL_CALLS]double[ARGS]{"x": 3}[TOOL_CALLS]half[CALL_ID]a1B2c3D4e[ARGS]{"x": 2}</s>', "",
         [("double", 3), ("half", 2)]),
        ('[TOOL_CALLS]double{"x": 3}half{"x": 2}', "", [("double", 3), ("half", 2)]),
        (f"```json\n{CALL}\n```", "", [("double", 3)]),
        (json.dumps({"name": "double", "arguments": '{"x": 3}'}), "", [("double", 3)]),
        ('<tool_call>{"name": "double", "arguments": {"x": ', '<tool_call>{"name": "double", "arguments": {"x": ', []),
        ('{"name": "Anna", "arguments": {"x": 3}}', '{"name": "Anna", "arguments": {"x": 3}}', []),
        ("The double of 3 is 6.", "The double of 3 is 6.", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_calls_are_read(text, content, calls):
    left, found = parse_tool_calls(text, NAMES)
    assert left == content
    assert [(call.name, call.arguments["x"]) for call in found] == calls
    assert len({call.id for call in found}) == len(found)


@given(st.text())
def test_reading_never_fails(text):
    for wrapped in (text, f"<tool_call>{text}", f"[TOOL_CALLS]{text}", "{" + text):
        parse_tool_calls(wrapped, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        f"Well. <tool_call>{CALL}</tool_call>",
        "Well, 3 < 4 and <tool is no call",
        "[TOOL_CALLS]double[ARGS]{}",
        CALL,
        'double{"x": 3}',
        "doubled it is, by half",
        "plain",
    ],
)
def test_a_stream_shows_text_and_holds_calls_back(text):
    for size in (1, 3, len(text)):
        held = ToolCallFilter(NAMES)
        shown = "".join(held.add(text[i : i + size]) for i in range(0, len(text), size))
        content, calls = parse_tool_calls(text, NAMES)
        assert text.startswith(shown)
        assert content.startswith(shown.rstrip())  # "double{" is a call where its tag is a token that no text shows
        assert "{" not in shown
        if not calls and "{" not in text:
            assert len(shown) >= len(text) - len("<tool_call>")


def test_templates_with_and_without_tools():
    assert has_tools("{% if tools %}{{ tools }}{% endif %}")
    assert has_tools({"default": "{{ messages }}", "tool_use": "{{ tools }}"})
    assert not has_tools("{% for message in messages %}{{ message.content }}{% endfor %}")
    assert not has_tools(None)
    messages = [{"role": "user", "content": "Double 3."}]
    assert template_arguments("{{ tools }}", messages, TOOLS) == (messages, {"tools": TOOLS})
    told, kwargs = template_arguments("{{ messages }}", messages, TOOLS)
    assert kwargs == {}
    assert [message["role"] for message in told] == ["system", "user"]
    assert json.dumps(TOOLS[0]) in told[0]["content"]


def test_the_history_of_calls_is_put_into_words():
    call = {"id": "1", "type": "function", "function": {"name": "double", "arguments": {"x": 3}}}
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Double 3."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "6", "tool_call_id": "1"},
    ]
    system, user, assistant, result = describe_tools(history, TOOLS)
    assert system["content"].startswith("Be brief.\n\n")
    assert user == history[1]
    assert parse_tool_calls(assistant["content"], NAMES)[1][0].arguments == {"x": 3}
    assert result == {"role": "user", "content": "<tool_response>\n6\n</tool_response>"}


def test_forced_calls(tiny_engine):
    prompt = [{"role": "user", "content": "What is the double of 21?"}]
    for name in (None, "half"):
        answer = tiny_engine.generate(prompt, json_schema=call_schema(TOOLS, name), max_new_tokens=40)
        [call] = parse_tool_calls(answer.text, NAMES)[1]
        assert call.name in ([name] if name else NAMES)
        assert isinstance(call.arguments["x"], int)
    with pytest.raises(ConfigError, match="no tool called 'third'. There are: double, half"):
        call_schema(TOOLS, "third")


def test_definitions_of_two_tools_do_not_mix(tiny_engine):
    def tool(name, kind):
        parameters = {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/P"}},
            "required": ["p"],
            "$defs": {"P": {"type": kind}},
        }
        return {"type": "function", "function": {"name": name, "parameters": parameters}}

    schema = call_schema([tool("a", "integer"), tool("b", "boolean")])
    assert set(schema["$defs"]) == {"a.P", "b.P"}
    answer = tiny_engine.generate("Call b:", json_schema=schema, max_new_tokens=40)
    call = json.loads(answer.text)
    assert type(call["arguments"]["p"]) is {"a": int, "b": bool}[call["name"]]
