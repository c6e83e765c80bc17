"""The field ``sra`` of a request: the attention settings, read before the request waits for a slot."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from sra_rag.config import SRAConfig
from sra_rag.errors import ConfigError
from sra_rag.notation import parse_sra

__all__ = ["AttentionField"]


def _settings(value: Any) -> SRAConfig | None:
    try:
        # A client must not read files of the server.
        return parse_sra(value, files=False) if isinstance(value, str) else SRAConfig.coerce(value)
    except ConfigError as error:
        raise PydanticCustomError("invalid_sra", "{reason}", {"reason": str(error)}) from error


# "evidence" or another value of ``--sra`` (except a file), alpha, an object of settings, or null for off.
AttentionField = Annotated[SRAConfig | None, BeforeValidator(_settings)]
