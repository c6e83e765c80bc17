"""Conversion of LangChain messages into the dicts that chat templates use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage

from sra_rag.errors import PromptError

__all__ = ["context_of", "to_dicts"]

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_TEXTS = {"text": "text", "text-plain": "text"}
_THOUGHTS = {"reasoning": "reasoning", "thinking": "thinking"}
_CALLS = {"tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call"}  # also in `tool_calls`
_BETWEEN_BLOCKS = "\n\n"


def to_dicts(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return messages as dicts with ``role``, ``content`` and the other keys that chat templates use.

    Text blocks are joined with an empty line. Earlier reasoning becomes ``reasoning_content``.

    Raises
    ------
    PromptError
        If a message contains anything other than text, reasoning and tool calls.
    """
    return [_to_dict(message) for message in messages]


def context_of(messages: Sequence[BaseMessage]) -> str | None:
    """Return the context: all text blocks of the last user message except its last block; None if there is none."""
    last = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    texts = [] if last is None else _texts(last, _TEXTS)
    return _BETWEEN_BLOCKS.join(texts[:-1]) or None


def _to_dict(message: BaseMessage) -> dict[str, Any]:
    kind = message.type.removesuffix("MessageChunk").lower()
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(kind)
    if role is None:
        raise PromptError(f"A {type(message).__name__} cannot be part of a prompt. Allowed are {', '.join(_ROLES)}.")
    plain: dict[str, Any] = {"role": role, "content": _BETWEEN_BLOCKS.join(_texts(message, _TEXTS))}
    if message.name:
        plain["name"] = message.name
    if thoughts := _texts(message, _THOUGHTS):
        plain["reasoning_content"] = _BETWEEN_BLOCKS.join(thoughts)
    if isinstance(message, AIMessage):
        if message.tool_calls:
            plain["tool_calls"] = [
                {"type": "function", "id": call["id"], "function": {"name": call["name"], "arguments": call["args"]}}
                for call in message.tool_calls
            ]
        # Text that could not be parsed as a tool call stays in the message as the model wrote it.
        broken = [call["args"] for call in message.invalid_tool_calls if call["args"]]
        plain["content"] = "\n".join([*([plain["content"]] if plain["content"] else []), *broken])
    if isinstance(message, ToolMessage):
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _texts(message: BaseMessage, kinds: dict[str, str]) -> list[str]:
    """Return the texts of blocks of the given kinds; raise on blocks of an unsupported type."""
    if isinstance(message.content, str):
        return [message.content] if kinds is _TEXTS and message.content else []
    texts = []
    for block in message.content:
        kind = "text" if isinstance(block, str) else block.get("type")
        if kind in kinds:
            texts.append(block if isinstance(block, str) else str(block.get(kinds[kind]) or ""))
        elif kind not in _TEXTS and kind not in _THOUGHTS and not (kind in _CALLS and isinstance(message, AIMessage)):
            raise PromptError(
                f"A {message.type} message has a block of type {kind!r}. This model supports text only: pass strings, "
                "or blocks of type 'text'."
            )
    return [text for text in texts if text]
