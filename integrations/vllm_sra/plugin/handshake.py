"""How a client makes sure that a server reattends: servers without the plugin ignore settings and say nothing.

The question is a value of ``sra`` that no request means; the plugin refuses it with an answer that nobody else gives.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError

__all__ = ["QUESTION", "answer", "version_in"]

QUESTION = {"sra": "sra-rag?"}
"""``vllm_xargs`` of the request that asks."""

_ANSWER = "sra-rag {} reattends here."


def answer(extra_args: Mapping[str, Any] | None) -> None:
    """Answer the question if a request asks it.

    Raises
    ------
    ConfigError
        It is the answer: vLLM passes it on with status 400.
    """
    if extra_args and extra_args.get("sra") == QUESTION["sra"]:
        raise ConfigError(_ANSWER.format(importlib.metadata.version("sra-rag")))


def version_in(said: str) -> str | None:
    """Return the version of sra-rag on a server from what it said; None where that is no answer to the question."""
    found = re.search(re.escape(_ANSWER).replace(re.escape("{}"), r"(\S+)"), said)
    return found[1] if found else None
