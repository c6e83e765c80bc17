"""Conversion of the engine's answers into LangChain messages and generations."""

from __future__ import annotations

import json
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall, UsageMetadata
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.messages.ai import InputTokenDetails
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk

from langchain_sra.call import Call
from langchain_sra.tool_use import ToolUse
from sra_rag.generation.result import Generation, TextDelta
from sra_rag.generation.tools import CALL_OPENINGS, ToolCall, ToolCallFilter, read_tool_calls

__all__ = ["ReplyStream", "metadata", "reply", "usage"]


def usage(generation: Generation) -> UsageMetadata:
    """Return token counts of an answer; ``cache_read`` counts prompt tokens reused from an earlier prefill."""
    token_usage = generation.usage
    return UsageMetadata(
        input_tokens=token_usage.prompt_tokens,
        output_tokens=token_usage.completion_tokens,
        total_tokens=token_usage.total_tokens,
        input_token_details=InputTokenDetails(cache_read=token_usage.cached_tokens),
    )


def metadata(generation: Generation, model_name: str) -> dict[str, Any]:
    """Return the metadata of an answer: model, finish reason, SRA settings, and timing in seconds."""
    return {
        "model_name": model_name,
        "model_provider": "sra",
        "finish_reason": generation.finish_reason,
        "sra": None if generation.sra is None else generation.sra.to_dict(),
        "timing": {
            "prefill_seconds": generation.timing.prefill_seconds,
            "decode_seconds": generation.timing.decode_seconds,
        },
        "context_tokens": generation.context_length,
    }


def reply(call: Call, tools: ToolUse, generation: Generation) -> ChatGeneration:
    """Return a complete answer."""
    content, calls, broken = _read(call, tools, generation)
    message = AIMessage(
        content=content,
        tool_calls=[_langchain_call(c) for c in calls],
        invalid_tool_calls=broken,
        usage_metadata=usage(generation),
        response_metadata=metadata(generation, call.model_name),
    )
    return ChatGeneration(message=message, generation_info={"finish_reason": generation.finish_reason})


class ReplyStream:
    """Converts pieces of an answer into chunks. Text that may be a tool call is buffered until the end.

    Parameters
    ----------
    call
        The call that is being answered.
    tools
        The tools of the call.
    """

    def __init__(self, call: Call, tools: ToolUse) -> None:
        self.call = call
        self.tools = tools
        self._emitted = ""
        self._filter = ToolCallFilter(tools.names) if tools.names else None

    def chunk(self, delta: TextDelta) -> ChatGenerationChunk | None:
        """Return the next chunk; None if there is no text to emit yet."""
        if delta.generation is not None:
            return self._last(delta.generation)
        text = self._not_a_call(delta.text)
        self._emitted += text
        return ChatGenerationChunk(message=AIMessageChunk(content=text)) if text else None

    def _not_a_call(self, text: str) -> str:
        if self.tools.schema is not None:
            return ""  # the whole answer is a tool call
        return text if self._filter is None else self._filter.add(text)

    def _last(self, generation: Generation) -> ChatGenerationChunk:
        content, calls, broken = _read(self.call, self.tools, generation)
        emitted = self._emitted.lstrip() if calls or broken else self._emitted
        message = AIMessageChunk(
            content=content[len(emitted) :] if content.startswith(emitted) else "",
            tool_call_chunks=[
                *(
                    tool_call_chunk(name=c.name, args=json.dumps(c.arguments, ensure_ascii=False), id=c.id, index=index)
                    for index, c in enumerate(calls)
                ),
                *(tool_call_chunk(name=None, args=b["args"], id=None, index=i) for i, b in enumerate(broken)),
            ],
            usage_metadata=usage(generation),
            response_metadata=metadata(generation, self.call.model_name),
            chunk_position="last",
        )
        return ChatGenerationChunk(message=message, generation_info={"finish_reason": generation.finish_reason})


def _read(call: Call, tools: ToolUse, generation: Generation) -> tuple[str, list[ToolCall], list[InvalidToolCall]]:
    """Split an answer into text, tool calls, and incomplete or invalid tool calls."""
    if not tools.names:
        return generation.text, [], []
    content, calls = read_tool_calls(generation, tools.names, call.engine.loaded.tokenizer)
    if calls:
        return content, calls if tools.parallel else calls[:1], []
    call_start = min((start for start in map(content.find, CALL_OPENINGS) if start >= 0), default=None)
    if call_start is None:
        return content, [], []
    error = "This is not a call of a known tool with JSON arguments."
    if generation.finish_reason == "length":
        error = "The answer reached max_tokens before the call was complete."
    broken = invalid_tool_call(name=None, args=content[call_start:], id=None, error=error)
    return content[:call_start].strip(), [], [broken]


def _langchain_call(call: ToolCall) -> LangChainToolCall:
    return tool_call(name=call.name, args=dict(call.arguments), id=call.id)
