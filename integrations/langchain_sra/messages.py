"""LangChain's messages, as chat templates take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage

from sra_rag.errors import PromptError

__all__ = ["context_of", "to_dicts"]

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_TEXTS = {"text": "text", "text-plain": "text"}
_THOUGHTS = {"reasoning": "reasoning", "thinking": "thinking"}
_CALLS = {"tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call"}  # stand in `tool_calls` as well
_BETWEEN_BLOCKS = "\n\n"


def to_dicts(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return messages as mappings with ``role``, ``content`` and what else chat templates know.

    Blocks of text are joined by an empty line; earlier reasoning becomes ``reasoning_content``.

    Raises
    ------
    PromptError
        If a message holds anything but text, reasoning and tool calls.
    """
    return [_to_dict(message) for message in messages]


def context_of(messages: Sequence[BaseMessage]) -> str | None:
    """Return the context where the last user message tells it: all of its blocks of text but the last."""
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
        # What the model wrote stays what it wrote, though it could not be read as a call.
        broken = [call["args"] for call in message.invalid_tool_calls if call["args"]]
        plain["content"] = "\n".join([*([plain["content"]] if plain["content"] else []), *broken])
    if isinstance(message, ToolMessage):
        plain["tool_call_id"] = message.tool_call_id
    return plain


def _texts(message: BaseMessage, kinds: dict[str, str]) -> list[str]:
    """Return the blocks of the given kinds; blocks that no kind covers are refused, not dropped."""
    if isinstance(message.content, str):
        return [message.content] if kinds is _TEXTS and message.content else []
    texts = []
    for block in message.content:
        kind = "text" if isinstance(block, str) else block.get("type")
        if kind in kinds:
            texts.append(block if isinstance(block, str) else str(block.get(kinds[kind]) or ""))
        elif kind not in _TEXTS and kind not in _THOUGHTS and not (kind in _CALLS and isinstance(message, AIMessage)):
            raise PromptError(
                f"A {message.type} message holds a block of the type {kind!r}. This model reads text only: give "
                "strings, or blocks of the type 'text'."
            )
    return [text for text in texts if text]
