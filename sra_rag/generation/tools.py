"""Tools: how they are described to models, and how calls are parsed.

Models write tool calls in the manner of their chat template. Three are common and read here: Hermes and Qwen
(``<tool_call>{...}</tool_call>``), Llama 3 (one JSON object, with ``parameters``) and Mistral (``[TOOL_CALLS]``).
For a model whose template has no tools, they are described in the system message, in the format of Hermes.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sra_rag.errors import ConfigError
from sra_rag.generation.prompts import Message
from sra_rag.generation.result import Generation
from sra_rag.generation.text import length_begun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "CALL_OPENINGS",
    "ToolCall",
    "ToolCallFilter",
    "call_schema",
    "describe_tools",
    "has_tools",
    "parse_tool_calls",
    "read_tool_calls",
    "template_arguments",
]

_HERMES = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|<tool_call>|$)", re.DOTALL)
_MISTRAL_NAMED = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*(?:\[CALL_ID\][A-Za-z0-9]*)?(?:\[ARGS\])?\s*(?=\{)")
_LLAMA_TAG = "<|python_tag|>"
_MISTRAL_TAG = "[TOOL_CALLS]"
CALL_OPENINGS = ("<tool_call>", _LLAMA_TAG, _MISTRAL_TAG)


@dataclasses.dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called.

    Parameters
    ----------
    name
        Of the tool.
    arguments
        By parameter.
    id
        Tells calls apart; the tool's answer names it.
    """

    name: str
    arguments: Mapping[str, Any]
    id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex[:9])  # Mistral's templates insist on nine


def has_tools(chat_template: object) -> bool:
    """Whether a chat template (a string, or several by name) takes tools."""
    templates = chat_template.values() if isinstance(chat_template, Mapping) else [chat_template]
    return any(re.search(r"\btools\b", str(template or "")) for template in templates)


def describe_tools(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Put tools into the system message, and calls and results into text, for a template that has no tools.

    Parameters
    ----------
    messages
        Those of the conversation; ``tool_calls`` of assistants and messages of the role ``tool`` are understood.
    tools
        In OpenAI's form: ``{"type": "function", "function": {"name", "description", "parameters"}}``.
    """
    plain = [_as_text(message) for message in messages]
    if not tools:
        return plain
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    told = (
        "You can call these tools:\n<tools>\n"
        f"{listed}\n</tools>\n"
        "To call one, write a JSON object with its name and arguments between tags:\n"
        '<tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>'
    )
    if plain and plain[0].get("role") == "system":
        first = {**plain[0], "content": f"{plain[0]['content']}\n\n{told}"}
        return [first, *plain[1:]]
    return [{"role": "system", "content": told}, *plain]


def template_arguments(
    chat_template: object, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
) -> tuple[list[Message], dict[str, Any]]:
    """Return the messages and arguments with which a chat template describes `tools` to the model."""
    if has_tools(chat_template):
        return list(messages), {"tools": list(tools)} if tools else {}
    return describe_tools(messages, tools), {}


def call_schema(tools: Sequence[Mapping[str, Any]], name: str | None = None) -> dict[str, Any]:
    """Return the JSON schema of a call to one of `tools`, or to the one called `name`.

    Raises
    ------
    ConfigError
        If no tool has that name.
    """
    functions = [tool["function"] for tool in tools]
    chosen = [function for function in functions if name in (None, function["name"])]
    if not chosen:
        known = ", ".join(function["name"] for function in functions) or "none"
        raise ConfigError(f"There is no tool called {name!r}. There are: {known}.")
    calls = [_one_call(function) for function in chosen]
    if len(calls) == 1:
        return calls[0]
    definitions: dict[str, Any] = {}
    for call in calls:
        definitions |= call.pop("$defs", {})
    return {"anyOf": calls} | ({"$defs": definitions} if definitions else {})


def parse_tool_calls(text: str, names: Sequence[str]) -> tuple[str, list[ToolCall]]:
    """Read the tool calls of an answer.

    Parameters
    ----------
    text
        The answer, with the special tokens that announce calls.
    names
        Of the tools there are; JSON that names no tool is left as text.

    Returns
    -------
    content
        The text outside the calls.
    calls
        The calls in their order.
    """
    for read in (_read_hermes, _read_mistral, _read_json):
        content, calls = read(text, names)
        if calls:
            return content.strip(), calls
    return text, []


def read_tool_calls(
    generation: Generation, names: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> tuple[str, list[ToolCall]]:
    """Read the tool calls of an answer, by its tokens, as some models announce calls by special ones.

    Returns
    -------
    content, calls
        As `parse_tool_calls`.
    """
    content, calls = parse_tool_calls(tokenizer.decode(list(generation.token_ids), skip_special_tokens=False), names)
    return (content, calls) if calls else (generation.text, [])


class ToolCallFilter:
    """Holds back what may be a tool call from an answer that streams.

    Parameters
    ----------
    names
        Of the tools there are.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._text = ""
        self._passed = 0
        self._held = False

    def add(self, delta: str) -> str:
        """Take a piece of the answer; return what is certainly not part of a call."""
        self._text += delta
        if self._held:
            return ""
        start = self._text.lstrip()
        named = any(name.startswith(start) or _calls_by_name(start, name) for name in self._names)
        if not self._passed and (named or start.startswith(("{", "["))):
            return ""
        end = len(self._text)
        for opening in CALL_OPENINGS:
            at = self._text.find(opening)
            if at >= 0:
                end, self._held = min(end, at), True
            else:
                end = min(end, len(self._text) - length_begun(self._text, opening))
        delta, self._passed = self._text[self._passed : end], max(self._passed, end)
        return delta


def _calls_by_name(text: str, name: str) -> bool:
    return re.match(rf"{re.escape(name)}\s*(\[ARGS\]|\{{|$)", text) is not None


def _one_call(function: Mapping[str, Any]) -> dict[str, Any]:
    name = function["name"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    # The parameters move into a larger schema, where definitions of several tools may share a name.
    parameters = json.loads(json.dumps(parameters).replace('"#/$defs/', f'"#/$defs/{name}.'))
    definitions = {f"{name}.{key}": value for key, value in parameters.pop("$defs", {}).items()}
    schema = {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    return schema | ({"$defs": definitions} if definitions else {})


def _as_text(message: Message) -> Message:
    content = message.get("content") or ""
    if message.get("role") == "tool":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    calls = [
        json.dumps({k: call["function"][k] for k in ("name", "arguments")}, ensure_ascii=False)
        for call in message.get("tool_calls") or ()
    ]
    if not calls:
        return {key: value for key, value in message.items() if key != "tool_calls"}
    written = "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in calls)
    return {"role": message["role"], "content": f"{content}\n{written}".strip()}


def _read_hermes(text: str, names: Sequence[str]) -> tuple[str, list[ToolCall]]:
    calls = [call for found in _HERMES.finditer(text) for call in _calls_of(found[1], names)]
    return text.partition("<tool_call>")[0], calls


def _read_mistral(text: str, names: Sequence[str]) -> tuple[str, list[ToolCall]]:
    content, tag, rest = text.partition(_MISTRAL_TAG)
    if not tag:
        return text, []
    if rest.lstrip().startswith("["):
        return content, _calls_of(rest, names)
    calls = []
    for piece in rest.split(_MISTRAL_TAG):
        position = 0
        while found := _MISTRAL_NAMED.match(piece, position):
            value = _first_json(piece[found.end() :])
            if value is None:
                break
            arguments, length = value
            if found[1] in names and isinstance(arguments, dict):
                calls.append(ToolCall(found[1], arguments))
            position = found.end() + length
    return content, calls


def _read_json(text: str, names: Sequence[str]) -> tuple[str, list[ToolCall]]:
    content, tag, rest = text.partition(_LLAMA_TAG)
    if not tag:
        content, rest = "", text
    rest = rest.strip().removeprefix("```json").removeprefix("```").lstrip()
    return (content, _calls_of(rest, names)) if rest.startswith(("{", "[")) else (text, [])


def _calls_of(text: str, names: Sequence[str]) -> list[ToolCall]:
    """Read one JSON object, a list of them, or several parted by white space or semicolons."""
    calls = []
    rest = text.strip()
    while (value := _first_json(rest)) is not None:
        for item in value[0] if isinstance(value[0], list) else [value[0]]:
            if (call := _call(item, names)) is not None:
                calls.append(call)
        rest = rest[value[1] :].lstrip(" \r\n\t;,")
    return calls


def _call(item: object, names: Sequence[str]) -> ToolCall | None:
    if not isinstance(item, dict) or item.get("name") not in names:
        return None
    arguments = item.get("arguments", item.get("parameters", {}))
    if isinstance(arguments, str):  # some models write the arguments as JSON within a string
        value = _first_json(arguments)
        arguments = value[0] if value is not None else None
    return ToolCall(item["name"], arguments) if isinstance(arguments, dict) else None


def _first_json(text: str) -> tuple[Any, int] | None:
    """Read the JSON at the start of `text`; return it and its length."""
    try:
        return json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
