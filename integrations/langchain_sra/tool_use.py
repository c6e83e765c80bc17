"""The tools of one call and the tool choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from sra_rag.errors import ConfigError
from sra_rag.generation.tools import call_schema

__all__ = ["ToolUse", "named_choice"]


@dataclasses.dataclass(frozen=True, slots=True)
class ToolUse:
    """Tools offered to the model, and how tool calls are read from its answer.

    Parameters
    ----------
    tools
        Tools in OpenAI's format.
    schema
        JSON schema of the required call; None if the model decides whether to call a tool.
    parallel
        Whether an answer may contain more than one call; otherwise only the first is kept.
    """

    tools: tuple[dict[str, Any], ...] = ()
    schema: dict[str, Any] | None = None
    parallel: bool = True

    @property
    def names(self) -> list[str]:
        """Names of the tools."""
        return [tool["function"]["name"] for tool in self.tools]

    @classmethod
    def of(cls, tools: Sequence[Any] | None, tool_choice: Any, parallel: bool | None = None) -> ToolUse:
        """Create a `ToolUse` from the tools and tool choice that LangChain accepts.

        Parameters
        ----------
        tools
            Anything that LangChain can convert into a tool.
        tool_choice
            See `named_choice`.
        parallel
            False keeps only the first call of an answer.

        Raises
        ------
        ConfigError
            If a tool is specific to another provider, or `tool_choice` is not the name of one of the tools.
        """
        choice = named_choice(tool_choice)
        converted = [convert_to_openai_tool(tool) for tool in tools or ()]
        for tool in converted:
            if "function" not in tool:
                raise ConfigError(
                    f"The tool {tool!r} is specific to another provider. Pass functions, classes or BaseTool objects."
                )
        if choice == "none":
            return cls()
        schema = None
        if choice not in (None, "auto"):
            schema = call_schema(converted, None if choice == "any" else choice)
        return cls(tuple(converted), schema, parallel is not False)


def named_choice(tool_choice: Any) -> str | None:
    """Return the tool choice as ``"auto"``, ``"any"``, ``"none"``, the name of a tool, or None if it was not given.

    Parameters
    ----------
    tool_choice
        One of these values, ``"required"`` or True (both mean ``"any"``), False (``"none"``), or a dict that names a
        tool.
    """
    if isinstance(tool_choice, dict):
        function = tool_choice.get("function", tool_choice)
        if isinstance(function, dict) and function.get("name"):
            return str(function["name"])
        tool_choice = tool_choice.get("type")
    if isinstance(tool_choice, bool):
        return "any" if tool_choice else "none"
    if tool_choice is None or isinstance(tool_choice, str):
        return "any" if tool_choice == "required" else tool_choice or None
    raise ConfigError(
        f'tool_choice={tool_choice!r} is not allowed. Use "auto", "any", "none", the name of a tool, or '
        '{"type": "function", "function": {"name": ...}}.'
    )
