"""One call to the model: its prompt, and the conversion of its answer into LlamaIndex responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole
from llama_index.llms.sra.function_calling import message_with_calls
from llama_index.llms.sra.translate import to_raw

from sra_rag.generation.prompts import EncodedPrompt
from sra_rag.generation.result import Generation, TextDelta
from sra_rag.generation.tools import ToolCall, ToolCallFilter, read_tool_calls

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Call"]


class Call:
    """A call in progress. Create a new object for each call.

    Parameters
    ----------
    prompt
        Encoded prompt.
    arguments
        Keyword arguments for `Engine.generate` or `Engine.stream`.
    tokenizer
        Tokenizer of the model.
    tool_names
        Names of the tools that the answer may call.
    """

    def __init__(
        self,
        prompt: EncodedPrompt,
        arguments: dict[str, Any],
        tokenizer: PreTrainedTokenizerBase,
        tool_names: Sequence[str] = (),
    ) -> None:
        self.prompt = prompt
        self.arguments = arguments
        self._tokenizer = tokenizer
        self._tool_names = tuple(tool_names)
        self._filter = ToolCallFilter(self._tool_names) if tool_names else None
        self._text = ""

    def completion(self, generation: Generation) -> CompletionResponse:
        """Return the response with the complete text."""
        return CompletionResponse(text=generation.text, raw=to_raw(self.prompt, generation))

    def completion_piece(self, delta: TextDelta) -> CompletionResponse:
        """Return the response with the text generated so far."""
        self._text += delta.text
        raw = None if delta.generation is None else to_raw(self.prompt, delta.generation)
        return CompletionResponse(text=self._text, delta=delta.text, raw=raw)

    def chat(self, generation: Generation) -> ChatResponse:
        """Return the response with the complete message and its tool calls."""
        content, calls = generation.text, list[ToolCall]()
        if self._tool_names:
            content, calls = read_tool_calls(generation, self._tool_names, self._tokenizer)
        message = message_with_calls(content, calls) if calls else _message(content)
        return ChatResponse(message=message, raw=to_raw(self.prompt, generation))

    def chat_piece(self, delta: TextDelta) -> ChatResponse:
        """Return the response with the message so far; text that may be a tool call is buffered until the end."""
        if delta.generation is not None:
            response = self.chat(delta.generation)
            response.delta = (response.message.content or "")[len(self._text) :]
            return response
        text = delta.text if self._filter is None else self._filter.add(delta.text)
        self._text += text
        return ChatResponse(message=_message(self._text), delta=text)


def _message(content: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.ASSISTANT, content=content)
