"""Conversion of LangChain's option names into those of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError

__all__ = ["engine_options"]

_OTHER_NAMES = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "stop_sequences": "stop",
    "request_timeout": "timeout",
}


def engine_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Rename options to the engine's names and drop those that are None.

    Parameters
    ----------
    given
        Options under LangChain's or the engine's names. OpenAI's ``response_format`` is accepted too.
    """
    options = {_OTHER_NAMES.get(name, name): value for name, value in given.items() if value is not None}
    if (response_format := options.pop("response_format", None)) is not None:
        schema = _schema_of(response_format)
        if schema is not None:
            options["json_schema"] = schema
    return options


def _schema_of(response_format: Any) -> Mapping[str, Any] | None:
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {}
    if kind == "json_schema" and "schema" in response_format.get("json_schema", {}):
        return response_format["json_schema"]["schema"]
    raise ConfigError(
        f"response_format={response_format!r} is not allowed. Use {{'type': 'json_schema', 'json_schema': {{'schema': "
        "...}}}}, {'type': 'json_object'}, or with_structured_output(...)."
    )
