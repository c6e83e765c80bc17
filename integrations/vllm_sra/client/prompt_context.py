"""What a client of a vLLM server with reattention needs beside OpenAI's own client."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from sra_rag.errors import ConfigError, SRAError

__all__ = ["VLLMServerError", "context_length"]

Message = Mapping[str, Any]


class VLLMServerError(SRAError, RuntimeError):
    """A model's server could not be reached, refused, or failed."""


def context_length(
    url: str,
    messages: Sequence[Message],
    context: str,
    *,
    model: str | None = None,
    api_key: str | None = None,
    timeout: float = 30.0,
) -> int:
    """Ask a server how many tokens a prompt takes up to the end of its context.

    It is what a request gives as ``sra_context_length`` for ``rows="after_context"``. A token that the context shares
    with what follows does not count.

    Parameters
    ----------
    url
        Of the server, with or without ``/v1``.
    messages
        As for a chat completion.
    context
        A text that stands in one of them.
    model
        Where the server has several.
    api_key
        Where the server asks for one.
    timeout
        Seconds.

    Raises
    ------
    ConfigError
        If the context stands in none of the messages.
    VLLMServerError
        If the server cannot be reached, or refuses.
    """
    place = next((n for n, m in enumerate(messages) if context and context in str(m.get("content"))), None)
    if place is None or not isinstance(messages[place]["content"], str):
        raise ConfigError("The context stands in none of the messages. Pass the text exactly as it stands there.")
    content = messages[place]["content"]
    upto = {**messages[place], "content": content[: content.index(context) + len(context)]}
    root = url.rstrip("/").removesuffix("/v1")
    whole, part = (_tokens(root, them, model, api_key, timeout) for them in (list(messages), [*messages[:place], upto]))
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(whole, part, strict=False)))


def _tokens(root: str, messages: list[Message], model: str | None, api_key: str | None, timeout: float) -> list[int]:
    if not root.startswith(("http://", "https://")):
        raise ConfigError(f"{root!r} is no address of a server. Give one such as http://localhost:8000/v1.")
    body = {"messages": [dict(message) for message in messages]} | ({"model": model} if model else {})
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    request = urllib.request.Request(f"{root}/tokenize", json.dumps(body).encode(), headers)  # noqa: S310 - http, above
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return list(json.load(response)["tokens"])
    except urllib.error.HTTPError as error:
        reason = error.read(2000).decode("utf-8", "replace")
        raise VLLMServerError(f"{root}/tokenize answered {error.code}: {reason}") from error
    except (OSError, ValueError, KeyError) as error:
        raise VLLMServerError(f"{root}/tokenize could not be asked: {error}. Does a vLLM server run there?") from error
