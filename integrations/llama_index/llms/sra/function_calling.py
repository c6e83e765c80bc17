"""Tool calls for LlamaIndex agents, for models whose chat template supports tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool

from sra_rag.errors import ConfigError, PromptError, SRAError
from sra_rag.generation.tools import ToolCall, call_schema

__all__ = ["FunctionCalling", "NoToolCallError", "ToolRequest", "message_to_dict", "message_with_calls"]


class NoToolCallError(SRAError, ValueError):
    """The model called no tool although a call was expected."""


class ToolRequest:
    """The tools of one call and the tool choice.

    Parameters
    ----------
    tools
        Tools in OpenAI's format.
    tool_choice
        ``"auto"`` or None: the model decides. ``"none"``: no tool is called. ``"required"`` or ``"any"``: some tool
        must be called. The name of a tool: this tool must be called. Required calls are enforced by constrained
        decoding.
    """

    def __init__(self, tools: Sequence[dict[str, Any]] | None, tool_choice: Any) -> None:
        if isinstance(tool_choice, dict):
            tool_choice = tool_choice.get("function", {}).get("name")
        self.tools = [] if tool_choice == "none" else list(tools or ())
        self.names = [tool["function"]["name"] for tool in self.tools]
        self.schema: dict[str, Any] | None = None
        if tool_choice not in (None, "auto", "none"):
            if not self.tools:
                raise ConfigError(f"tool_choice={tool_choice!r} requires tools. Pass tools=, or remove tool_choice.")
            name = None if tool_choice in ("required", "any") else tool_choice
            self.schema = call_schema(self.tools, name)


class FunctionCalling(FunctionCallingLLM):
    """Implementation of LlamaIndex's `FunctionCallingLLM`, based on the chat methods with ``tools=``."""

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        if isinstance(user_msg, str):
            user_msg = ChatMessage(role=MessageRole.USER, content=user_msg)
        messages = [*(chat_history or ()), *([user_msg] if user_msg is not None else ())]
        described = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
        choice = kwargs.pop("tool_choice", "required" if tool_required else "auto")
        return {"messages": messages, "tools": described, "tool_choice": choice, **kwargs}

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        if not allow_parallel_tool_calls:
            calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
            response.message.blocks = [block for block in response.message.blocks if block not in calls[1:]]
        return response

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,
        **kwargs: Any,
    ) -> list[ToolSelection]:
        """Return the tool calls of an answer.

        Raises
        ------
        NoToolCallError
            If there are none and `error_on_no_tool_call` is true.
        """
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise NoToolCallError(
                f"The model called no tool; it wrote: {response.message.content!r}. Require a call "
                "(tool_required=True), or pass error_on_no_tool_call=False."
            )
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "",
                tool_name=call.tool_name,
                tool_kwargs=call.tool_kwargs if isinstance(call.tool_kwargs, dict) else {},
            )
            for call in calls
        ]


def message_with_calls(content: str, calls: Sequence[ToolCall]) -> ChatMessage:
    """Return an assistant message with tool calls."""
    blocks = [ToolCallBlock(tool_call_id=c.id, tool_name=c.name, tool_kwargs=dict(c.arguments)) for c in calls]
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[*([TextBlock(text=content)] if content else ()), *blocks])


def message_to_dict(message: ChatMessage) -> dict[str, Any]:
    """Convert a message into the dict that chat templates use.

    Raises
    ------
    PromptError
        If the message contains anything other than text and tool calls.
    """
    kinds = sorted({block.block_type for block in message.blocks} - {"text", "tool_call"})
    if kinds:
        raise PromptError(f"A message contains {', '.join(kinds)}. Only text is supported by this model.")
    plain: dict[str, Any] = {"role": message.role.value, "content": message.content or ""}
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if calls:
        plain["tool_calls"] = [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {"name": call.tool_name, "arguments": call.tool_kwargs},
            }
            for call in calls
        ]
    for key in ("tool_call_id", "name"):
        if message.role is MessageRole.TOOL and key in message.additional_kwargs:
            plain[key] = message.additional_kwargs[key]
    return plain
