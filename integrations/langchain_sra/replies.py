"""Answers of the engine, as LangChain's messages and generations."""

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
    """Return the tokens of an answer; ``cache_read`` are those of an earlier prefill."""
    used = generation.usage
    return UsageMetadata(
        input_tokens=used.prompt_tokens,
        output_tokens=used.completion_tokens,
        total_tokens=used.total_tokens,
        input_token_details=InputTokenDetails(cache_read=used.cached_tokens),
    )


def metadata(generation: Generation, model_name: str) -> dict[str, Any]:
    """Return what else is known of an answer: why it ended, how long it took (seconds), with which settings."""
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
    """Return a whole answer."""
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
    """Turns pieces of an answer into chunks; what may be a tool call is held back until the end.

    Parameters
    ----------
    call
        That is being answered.
    tools
        Those of the call.
    """

    def __init__(self, call: Call, tools: ToolUse) -> None:
        self.call = call
        self.tools = tools
        self._passed = ""
        self._filter = ToolCallFilter(tools.names) if tools.names else None

    def chunk(self, delta: TextDelta) -> ChatGenerationChunk | None:
        """Return the next chunk, None while there is nothing to show."""
        if delta.generation is not None:
            return self._last(delta.generation)
        text = self._certain(delta.text)
        self._passed += text
        return ChatGenerationChunk(message=AIMessageChunk(content=text)) if text else None

    def _certain(self, text: str) -> str:
        if self.tools.schema is not None:
            return ""  # all of it is a call
        return text if self._filter is None else self._filter.add(text)

    def _last(self, generation: Generation) -> ChatGenerationChunk:
        content, calls, broken = _read(self.call, self.tools, generation)
        passed = self._passed.lstrip() if calls or broken else self._passed
        message = AIMessageChunk(
            content=content[len(passed) :] if content.startswith(passed) else "",
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
    """Part an answer into text, tool calls, and calls that were begun but cannot be read."""
    if not tools.names:
        return generation.text, [], []
    content, calls = read_tool_calls(generation, tools.names, call.engine.loaded.tokenizer)
    if calls:
        return content, calls if tools.parallel else calls[:1], []
    begun = min((at for at in map(content.find, CALL_OPENINGS) if at >= 0), default=None)
    if begun is None:
        return content, [], []
    error = "This is not a call of a known tool with arguments as JSON."
    if generation.finish_reason == "length":
        error = "The answer ended at max_tokens, within the call."
    broken = invalid_tool_call(name=None, args=content[begun:], id=None, error=error)
    return content[:begun].strip(), [], [broken]


def _langchain_call(call: ToolCall) -> LangChainToolCall:
    return tool_call(name=call.name, args=dict(call.arguments), id=call.id)
