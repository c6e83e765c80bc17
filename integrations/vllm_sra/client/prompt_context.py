"""The context length of a prompt, for clients of a vLLM server with reattention that use OpenAI's own client."""

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
    """A model server could not be reached, rejected the request, or failed."""


def context_length(
    url: str,
    messages: Sequence[Message],
    context: str,
    *,
    model: str | None = None,
    api_key: str | None = None,
    timeout: float = 30.0,
) -> int:
    """Return the number of tokens of a prompt up to the end of its context, computed by the server.

    Pass the result as ``sra_context_length`` of a request with ``rows="after_context"``. A token that contains both the
    end of the context and the text after it is not counted.

    Parameters
    ----------
    url
        Address of the server, with or without ``/v1``.
    messages
        Messages, as for a chat completion.
    context
        Text of the context, exactly as it appears in one of the messages.
    model
        Name of the model; required if the server has several.
    api_key
        API key; required if the server checks one.
    timeout
        Maximum time of a request, in seconds.

    Raises
    ------
    ConfigError
        If no message contains the context.
    VLLMServerError
        If the server cannot be reached or rejects the request.
    """
    index = next((n for n, m in enumerate(messages) if context and context in str(m.get("content"))), None)
    if index is None or not isinstance(messages[index]["content"], str):
        raise ConfigError("No message contains the context. Pass the text exactly as it appears in a message.")
    content = messages[index]["content"]
    cut = {**messages[index], "content": content[: content.index(context) + len(context)]}
    root = url.rstrip("/").removesuffix("/v1")
    full_tokens = _tokens(root, list(messages), model, api_key, timeout)
    cut_tokens = _tokens(root, [*messages[:index], cut], model, api_key, timeout)
    pairs = zip(full_tokens, cut_tokens, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _tokens(root: str, messages: list[Message], model: str | None, api_key: str | None, timeout: float) -> list[int]:
    if not root.startswith(("http://", "https://")):
        raise ConfigError(f"{root!r} is not a valid server address. Give one such as http://localhost:8000/v1.")
    body = {"messages": [dict(message) for message in messages]} | ({"model": model} if model else {})
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    request = urllib.request.Request(f"{root}/tokenize", json.dumps(body).encode(), headers)  # noqa: S310 - scheme checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            return list(json.load(response)["tokens"])
    except urllib.error.HTTPError as error:
        reason = error.read(2000).decode("utf-8", "replace")
        raise VLLMServerError(f"{root}/tokenize answered {error.code}: {reason}") from error
    except (OSError, ValueError, KeyError) as error:
        raise VLLMServerError(f"{root}/tokenize cannot be reached: {error}. Is a vLLM server running there?") from error
