"""Error responses in the format of the OpenAI API: a status, and a body with a message.

Every error of the application has this format, unexpected ones too. A message contains no path of the server.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from vllm_sra.client.prompt_context import VLLMServerError

from sra_pipelines.index.lock import IndexLockedError
from sra_pipelines.server.public_messages import without_paths
from sra_pipelines.server.running_answers import ServerStoppingError
from sra_pipelines.server.slots import QueueFullError
from sra_rag.errors import (
    ConfigError,
    ContextOverflowError,
    GenerationTimeoutError,
    JSONSchemaError,
    OutOfMemoryError,
    PromptError,
    SRAError,
)
from sra_rag.generation.text import well_formed

__all__ = [
    "NoSuchModelError",
    "error_body",
    "error_response",
    "install_error_handlers",
    "logged_error_response",
]

_STATUS: list[tuple[type[Exception], int, str]] = [
    (QueueFullError, 429, "rate_limit_exceeded"),
    (ServerStoppingError, 503, "server_stopping"),
    (IndexLockedError, 409, "locked"),
    (ContextOverflowError, 400, "context_length_exceeded"),
    (GenerationTimeoutError, 504, "timeout"),
    (TimeoutError, 504, "timeout"),
    (OutOfMemoryError, 503, "out_of_memory"),
    (VLLMServerError, 502, "model_server_failed"),
    (ConfigError, 400, "invalid_value"),
    (PromptError, 400, "invalid_prompt"),
    (SRAError, 400, "invalid_request"),
]
_LONGEST_MESSAGE = 2000  # characters; a message may repeat what the client sent
_LONGEST_PATH = 100  # characters that are repeated in a message
_RESPONSES = "/v1/responses"
_ROUTES = ("/v1/chat/completions", _RESPONSES, "/v1/models", "/v1/documents")
_LISTED = 3  # errors of one request
_INTERNAL = "Internal server error; see the log of the server."

logger = logging.getLogger(__name__)


class NoSuchModelError(HTTPException):
    """A request names a model that the server does not have.

    Parameters
    ----------
    name
        The name in the request.
    known
        Names of the models of the server.
    """

    code = "model_not_found"
    param = "model"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(404, f"There is no model {name!r}. Use {' or '.join(map(repr, known))}.")


def error_body(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return the body of an error; `param` is the field of the request that it is about."""
    text = well_formed(message)
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[:_LONGEST_MESSAGE]}..."
    return {
        "error": {"message": text, "type": kind, "param": None if param is None else well_formed(param), "code": code}
    }


def error_response(error: Exception, path: str = "") -> JSONResponse:
    """Return the response for an error, with the corresponding status.

    Parameters
    ----------
    error
        The error.
    path
        Path of the route, by which a field of the request is named that was found invalid after its validation.
    """
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            headers = None
            if isinstance(error, QueueFullError | ServerStoppingError):
                headers = {"Retry-After": str(error.retry_after)}
            name = "invalid_request_error" if status == 400 else "server_error"
            param = None
            if isinstance(error, JSONSchemaError):
                param = "text.format" if path == _RESPONSES else "response_format"
            elif isinstance(error, PromptError | ContextOverflowError):
                param = "input" if path == _RESPONSES else "messages"
            return JSONResponse(error_body(without_paths(str(error)), name, code, param), status, headers)
    return JSONResponse(error_body(_INTERNAL, "server_error"), 500)


def logged_error_response(error: Exception) -> JSONResponse:
    """Return the response for an error that occurs after the response has begun; an unexpected error is logged."""
    response = error_response(error)
    if response.status_code == 500:
        logger.error("A request failed after its response had begun.", exc_info=error)
    return response


def install_error_handlers(app: FastAPI) -> None:
    """Install handlers, so that all errors of `app` have this format."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        return error_response(error, request.url.path)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - as registered below
        message = without_paths(str(error.detail))
        if message == "Not Found":
            message = _no_route(request)
        elif message == "Method Not Allowed":
            allowed = (error.headers or {}).get("Allow", "another method")
            message = f"{request.method} is not allowed for {_shown_path(request)}. Use {allowed}."
        kind = "invalid_request_error" if error.status_code < 500 else "server_error"
        code, param = getattr(error, "code", None), getattr(error, "param", None)
        return JSONResponse(error_body(message, kind, code, param), error.status_code, error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered below
        errors = error.errors()
        messages = [_described(item) for item in errors[:_LISTED]]
        if len(errors) > _LISTED:
            messages.append(f"and {len(errors) - _LISTED} more")
        body = error_body("; ".join(messages), "invalid_request_error", "invalid_value", _field(errors[0]) or None)
        return JSONResponse(body, 400)

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=400)  # nobody receives it; without a handler, the log gets a traceback

    for kind, _, _ in _STATUS:
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)  # the server logs it as well


def _no_route(request: Request) -> str:
    """Return the message for a route that the server does not have, with the one that is probably meant."""
    path = request.url.path.rstrip("/")
    start = f"There is no route {_shown_path(request)}."
    if f"/v1{path}" in _ROUTES:
        return f"{start} Did you mean /v1{path}? The base URL that a client needs ends with /v1."
    if path == "/v1/embeddings":
        return f"{start} This server gives no embeddings; choose another embedding model in the client."
    if path == "/v1/completions":
        return f"{start} Use /v1/chat/completions."
    return f"{start} The routes of the API are {', '.join(_ROUTES)}."


def _shown_path(request: Request) -> str:
    path = quote(request.url.path)  # as it was sent: no markup of the sender in the answer
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."


def _field(error: Mapping[str, Any]) -> str:
    """Return the name of the field, such as ``messages.0.content``; empty for the whole body."""
    if error["type"] == "json_invalid":
        return ""
    location: Sequence[Any] = (*error["loc"][1:], *error.get("ctx", {}).get("within", ()))
    return ".".join(map(str, location))


def _described(error: Mapping[str, Any]) -> str:
    field = _field(error)
    if error["type"] == "json_invalid":
        return f"The body is not valid JSON: {error.get('ctx', {}).get('error', error['msg'])}."
    if not field and error["type"] in ("model_attributes_type", "dict_type", "missing"):
        return "The body is not a JSON object. Send one, with the header Content-Type: application/json."
    if error["type"] == "extra_forbidden":
        return f"{field}: this field is not supported. Remove it."
    if error["type"] == "not_supported":  # the message has the value
        return f"{field}: {error['msg']}"
    value = error.get("input")
    given = f" (given: {value!r})" if isinstance(value, str | int | float) and len(repr(value)) <= 60 else ""
    return f"{field}: {error['msg']}{given}" if field else str(error["msg"])
