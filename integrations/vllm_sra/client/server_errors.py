"""Conversion of server and connection errors into errors of sra-rag that suggest the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from sra_rag.errors import ConfigError
from vllm_sra.client.prompt_context import VLLMServerError

__all__ = ["reason_of", "server_errors"]

_MAX_REASON_LENGTH = 2000  # characters of a server's message


@contextmanager
def server_errors(address: str) -> Iterator[None]:
    """Convert exceptions of OpenAI's client inside the block into errors of sra-rag.

    Raises
    ------
    ConfigError
        If the server rejects the request.
    VLLMServerError
        If the server cannot be reached or fails.
    """
    try:
        yield
    except openai.APITimeoutError as error:
        raise VLLMServerError(f"{address} did not answer in time. It may be overloaded; try again later.") from error
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise VLLMServerError(f"{address} cannot be reached ({cause}). Is the server running there?") from error
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise VLLMServerError(
            f"{address} denied access: {reason_of(error)} Pass its key with --engine-key or SRA_RAG_ENGINE_KEY."
        ) from error
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        raise ConfigError(f"{address} rejected the request: {reason_of(error)}") from error
    except openai.APIStatusError as error:
        raise VLLMServerError(f"{address} answered with status {error.status_code}: {reason_of(error)}") from error
    except openai.APIError as error:
        # For a stream, vLLM validates the request after it has already sent status 200.
        if isinstance(error.body, dict) and error.body.get("code") in (400, 422):
            raise ConfigError(f"{address} rejected the request: {reason_of(error)}") from error
        raise VLLMServerError(f"{address} stopped the answer: {reason_of(error)}") from error


def reason_of(error: openai.APIError) -> str:
    """Return the error message of the server, truncated to 2,000 characters."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return str(body or error.message)[:_MAX_REASON_LENGTH]
