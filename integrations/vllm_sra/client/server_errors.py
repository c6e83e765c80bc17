"""What a server or the way to it does wrong, as errors that say what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai

from sra_rag.errors import ConfigError
from vllm_sra.client.prompt_context import VLLMServerError

__all__ = ["reason_of", "server_errors"]

_LONGEST = 2000  # characters of a server's words


@contextmanager
def server_errors(address: str) -> Iterator[None]:
    """Raise what OpenAI's client raises within the block as errors of ours.

    Raises
    ------
    ConfigError
        Where the server does not allow what was asked.
    VLLMServerError
        Where it cannot be reached, or fails.
    """
    try:
        yield
    except openai.APITimeoutError as error:
        raise VLLMServerError(f"{address} did not answer in time. Is it overloaded? Try again later.") from error
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise VLLMServerError(f"{address} cannot be reached ({cause}). Does the server run there?") from error
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise VLLMServerError(
            f"{address} does not let us in: {reason_of(error)} Give its key (--engine-key, or SRA_RAG_ENGINE_KEY)."
        ) from error
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        raise ConfigError(f"{address} refused the request: {reason_of(error)}") from error
    except openai.APIStatusError as error:
        raise VLLMServerError(f"{address} answered with status {error.status_code}: {reason_of(error)}") from error
    except openai.APIError as error:
        # A stream has begun, with status 200, when vLLM looks at what is asked of it.
        if isinstance(error.body, dict) and error.body.get("code") in (400, 422):
            raise ConfigError(f"{address} refused the request: {reason_of(error)}") from error
        raise VLLMServerError(f"{address} broke off: {reason_of(error)}") from error


def reason_of(error: openai.APIError) -> str:
    """Return a server's own words."""
    body = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return str(body or error.message)[:_LONGEST]
