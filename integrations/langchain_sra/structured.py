"""Structured output: decoding is constrained to a schema, and LangChain's parsers create the objects."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from sra_rag.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel

__all__ = ["json_schema_of", "structured"]

_METHODS = ("json_schema", "function_calling", "json_mode")


def structured(
    model: BaseChatModel, schema: Any, method: str, include_raw: bool, kwargs: Mapping[str, Any]
) -> Runnable[LanguageModelInput, Any]:
    """Return a runnable that answers with objects; see `ChatSRAHuggingFace.with_structured_output`."""
    if method not in _METHODS:
        raise ConfigError(f"method={method!r} is not allowed. Use one of: {', '.join(_METHODS)}.")
    if schema is None and method != "json_mode":
        raise ConfigError(f'method={method!r} needs a schema. Give one, or method="json_mode" for any JSON.')
    tracing = (
        {} if schema is None else {"ls_structured_output_format": {"kwargs": {"method": method}, "schema": schema}}
    )
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    parser: BaseOutputParser[Any]
    if method == "function_calling":
        name = convert_to_openai_tool(schema)["function"]["name"]
        llm = model.bind_tools([schema], tool_choice=name, **tracing, **kwargs)
        if is_class:
            parser = PydanticToolsParser(tools=[schema], first_tool_only=True)
        else:
            parser = JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
    else:
        llm = model.bind(json_schema={} if schema is None else json_schema_of(schema), **tracing, **kwargs)
        parser = PydanticOutputParser(pydantic_object=schema) if is_class else JsonOutputParser()
    return _with_raw(llm, parser) if include_raw else llm | parser


def json_schema_of(schema: Any) -> dict[str, Any]:
    """Return the JSON schema for any form of schema that LangChain accepts.

    Parameters
    ----------
    schema
        A Pydantic class, a `TypedDict`, a JSON schema, or a function in OpenAI's format.
    """
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        # Keep Pydantic's references: a class may refer to itself.
        to_schema = getattr(schema, "model_json_schema", None) or schema.schema  # type: ignore[attr-defined]  # Pydantic 1
        return to_schema()
    if isinstance(schema, Mapping) and not {"function", "parameters", "input_schema"} & schema.keys():
        return dict(schema)
    return convert_to_json_schema(schema)


def _with_raw(llm: Runnable[LanguageModelInput, Any], parser: BaseOutputParser[Any]) -> Runnable[Any, Any]:
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")
