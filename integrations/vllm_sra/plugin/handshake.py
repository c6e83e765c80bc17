"""A handshake that detects whether a server supports reattention. Servers without the plugin silently ignore settings.

The client sends a special value of ``sra`` that no normal request uses. The plugin rejects it with a message that only
the plugin sends.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any

from sra_rag.errors import ConfigError

__all__ = ["QUESTION", "answer", "version_in"]

QUESTION = {"sra": "sra-rag?"}
"""``vllm_xargs`` of the handshake request."""

_ANSWER = "sra-rag {} reattends here."


def answer(extra_args: Mapping[str, Any] | None) -> None:
    """Answer a handshake request; do nothing for other requests.

    Raises
    ------
    ConfigError
        The error is the answer: vLLM sends its message with status 400.
    """
    if extra_args and extra_args.get("sra") == QUESTION["sra"]:
        raise ConfigError(_ANSWER.format(importlib.metadata.version("sra-rag")))


def version_in(message: str) -> str | None:
    """Return the version of sra-rag from a server's error message; None if it is not an answer to the handshake."""
    match = re.search(re.escape(_ANSWER).replace(re.escape("{}"), r"(\S+)"), message)
    return match[1] if match else None
