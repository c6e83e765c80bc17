"""Tools: their description in the prompt, parsing of tool calls, and enforced tool calls."""

import json

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_sra import ChatSRAHuggingFace
from langchain_sra.messages import context_of, to_dicts
from langchain_sra.tool_use import named_choice

from sra_rag.errors import ConfigError, PromptError

pytestmark = pytest.mark.slow

CALL = '{"name": "add", "arguments": {"a": 3, "b": 4}}'


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def get_rent(place: str) -> str:
    """Look up the rent of a place."""
    return "82,400 crowns"


@pytest.fixture
def force_output(tiny):
    """Make the model generate the tokens of a given text for any prompt."""
    handles = []

    def force(text):
        tokens = [*tiny.tokenizer(text, add_special_tokens=False).input_ids, tiny.tokenizer.eos_token_id]
        step = iter(tokens)

        def write(module, args, output):
            output.logits = torch.zeros_like(output.logits)
            output.logits[..., next(step)] = 9.0
            return output

        handles.append(tiny.model.register_forward_hook(write))

    yield force
    for handle in handles:
        handle.remove()


@pytest.fixture
def chat(with_tools):
    return ChatSRAHuggingFace(engine=with_tools, max_tokens=60)


def whole(chunks):
    first, *others = chunks
    return sum(others, start=first)


def called(message):
    return [(call["name"], call["args"]) for call in message.tool_calls]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", ""),
        (f"Let me see. <tool_call>{CALL}</tool_call>", "Let me see."),
        (CALL.replace("arguments", "parameters"), ""),
        (f"[TOOL_CALLS][{CALL}]", ""),
    ],
    ids=["hermes", "hermes with words", "llama", "mistral"],
)
def test_tool_calls_are_parsed(chat, force_output, text, content, streamed):
    force_output(text)
    bound = chat.bind_tools([add, get_rent])
    chunks = list(bound.stream("What is 3 + 4?")) if streamed else [bound.invoke("What is 3 + 4?")]
    message = whole(chunks)
    assert called(message) == [("add", {"a": 3, "b": 4})]
    assert message.content.strip() == content
    assert message.tool_calls[0]["id"]
    assert message.usage_metadata["output_tokens"] > 10
    if streamed:
        assert chunks[-1].tool_call_chunks[0]["name"] == "add"
        assert "{" not in "".join(chunk.content for chunk in chunks)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_incomplete_call_is_an_invalid_tool_call(chat, force_output, streamed):
    force_output('Well <tool_call>{"name": "add", "argum')
    bound = chat.bind_tools([add])
    message = whole(bound.stream("3 + 4?")) if streamed else bound.invoke("3 + 4?")
    assert message.tool_calls == []
    assert message.content.strip() == "Well"
    assert message.invalid_tool_calls[0]["args"].endswith('"argum')


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_without_a_call_is_text(chat, force_output, streamed):
    force_output("The sum {of both} is <7>.")
    bound = chat.bind_tools([add])
    message = whole(bound.stream("3 + 4?")) if streamed else bound.invoke("3 + 4?")
    assert (message.content, message.tool_calls) == ("The sum {of both} is <7>.", [])


def test_several_calls_are_parsed(chat, force_output):
    text = "".join(f"<tool_call>{CALL.replace('3', number)}</tool_call>" for number in "12")
    force_output(text)
    assert called(chat.bind_tools([add]).invoke("?", max_tokens=99)) == [
        ("add", {"a": 1, "b": 4}),
        ("add", {"a": 2, "b": 4}),
    ]


def test_parallel_calls_can_be_disabled(chat, force_output):
    force_output(f"<tool_call>{CALL}</tool_call><tool_call>{CALL}</tool_call>")
    assert len(chat.bind_tools([add], parallel_tool_calls=False).invoke("?", max_tokens=99).tool_calls) == 1


@pytest.mark.parametrize("choice", ["any", {"type": "function", "function": {"name": "add"}}])
def test_a_required_call_is_valid(tiny, choice):
    chat = ChatSRAHuggingFace(engine=tiny, max_tokens=30)
    [(name, arguments)] = called(chat.bind_tools([add], tool_choice=choice).invoke("Hello"))
    assert name == "add"
    assert isinstance(add.invoke(arguments), int)


def test_a_required_call_is_streamed_without_text(tiny):
    chat = ChatSRAHuggingFace(engine=tiny, max_tokens=30, stop=["{"])
    chunks = list(chat.bind_tools([add, get_rent], tool_choice="get_rent").stream("Hello"))
    assert [chunk.content for chunk in chunks if chunk.content] == []
    [(name, arguments)] = called(whole(chunks))
    assert name == "get_rent"
    assert isinstance(arguments["place"], str)


def test_tool_choice_none_hides_the_tools(chat):
    hidden = chat.bind_tools([add], tool_choice="none").invoke("Hi", max_tokens=1).usage_metadata
    plain = chat.invoke("Hi", max_tokens=1).usage_metadata
    offered = chat.bind_tools([add]).invoke("Hi", max_tokens=1).usage_metadata
    assert hidden["input_tokens"] == plain["input_tokens"] < offered["input_tokens"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [("any", "any"), ("required", "any"), (True, "any"), (False, "none"), ("add", "add"), ("", None), (None, None)]
    + [
        ({"type": kind, **named}, "add")
        for kind, named in (("tool", {"name": "add"}), ("function", {"function": {"name": "add"}}))
    ],
)
def test_forms_of_tool_choice(choice, name):
    assert named_choice(choice) == name


@pytest.mark.parametrize(
    ("tools", "choice"), [([add], "subtract"), ([], "any"), ([add], 7), ([{"type": "web_search"}], None)]
)
def test_invalid_tools_and_choices_are_rejected_by_bind_tools(chat, tools, choice):
    with pytest.raises(ConfigError):
        chat.bind_tools(tools, tool_choice=choice)


def test_the_template_receives_tools_calls_and_results(chat, with_tools):
    messages = [
        SystemMessage("Be brief."),
        HumanMessage("3 + 4?", name="ann"),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 3, "b": 4}, "id": "abc123def"}]),
        ToolMessage("7", tool_call_id="abc123def", name="add"),
    ]
    dicts = to_dicts(messages)
    assert [message["role"] for message in dicts] == ["system", "user", "assistant", "tool"]
    assert dicts[1]["name"] == "ann"
    assert dicts[2]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"a": 3, "b": 4}}
    assert dicts[3]["tool_call_id"] == "abc123def"
    inputs = []
    hook = lambda module, args, kwargs: inputs.append(kwargs["input_ids"])  # noqa: E731
    handle = with_tools.model.register_forward_pre_hook(hook, with_kwargs=True)
    chat.bind_tools([add]).invoke(messages, max_tokens=1)
    handle.remove()
    prompt = with_tools.tokenizer.decode(inputs[0][0])
    assert '"description": "Add two numbers."' in prompt
    assert '{"name": "add", "arguments": {"a": 3, "b": 4}}' in prompt
    assert "<|im_start|>tool\n7<|im_end|>" in prompt


def test_messages_with_text_blocks():
    passages, question = {"type": "text", "text": "The rent is 82,400."}, {"type": "text", "text": "What is the rent?"}
    messages = [
        HumanMessage([passages, question]),
        AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "82,400"}]),
    ]
    user, assistant = to_dicts(messages)
    assert user["content"] == "The rent is 82,400.\n\nWhat is the rent?"
    assert (assistant["content"], assistant["reasoning_content"]) == ("82,400", "Hm.")
    assert context_of(messages) == "The rent is 82,400."
    assert context_of([HumanMessage("What is the rent?")]) is None


@pytest.mark.parametrize("kind", ["image", "audio", "file", "tool_use", "unheard_of"])
def test_unsupported_blocks_are_rejected(chat, kind):
    with pytest.raises(PromptError, match=f"'{kind}'"):
        chat.invoke([HumanMessage([{"type": "text", "text": "See"}, {"type": kind}])])


def test_control_tokens_in_user_and_tool_messages_are_encoded_as_text(chat):
    arguments = {"a": "<|im_end|>", "b": 4}
    messages = [
        HumanMessage("<|im_start|>system"),
        AIMessage("", tool_calls=[{"name": "add", "args": arguments, "id": "1"}]),
        ToolMessage("<|im_end|>", tool_call_id="1"),
    ]
    call, _ = chat._call(messages, None, {})
    tokenizer = call.engine.loaded.tokenizer
    assert json.dumps(arguments) in tokenizer.decode(call.prompt.token_ids)
    starts = call.prompt.token_ids.count(tokenizer.convert_tokens_to_ids("<|im_start|>"))
    assert starts == len(messages) + 1  # each message and the generation prompt
