"""Error responses in the format of the OpenAI API: a status, and a body with a message."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from vllm_sra.client.prompt_context import VLLMServerError

from sra_pipelines.index.lock import IndexLockedError
from sra_pipelines.server.running_answers import ServerStoppingError
from sra_pipelines.server.slots import QueueFullError
from sra_rag.errors import (
    ConfigError,
    ContextOverflowError,
    GenerationTimeoutError,
    OutOfMemoryError,
    PromptError,
    SRAError,
)

__all__ = ["error_body", "error_response", "install_error_handlers"]

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


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_response(error: Exception) -> JSONResponse:
    """Return the response for an error, with the corresponding status."""
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            headers = None
            if isinstance(error, QueueFullError | ServerStoppingError):
                headers = {"Retry-After": str(error.retry_after)}
            name = "invalid_request_error" if status == 400 else "server_error"
            return JSONResponse(error_body(str(error), name, code), status, headers)
    return JSONResponse(error_body("Internal server error; see the log of the server.", "server_error"), 500)


def install_error_handlers(app: FastAPI) -> None:
    """Install handlers, so that all errors of `app` have this format."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - as registered below
        return JSONResponse(error_body(str(error.detail), "invalid_request_error"), error.status_code, error.headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered below
        message = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
        return JSONResponse(error_body(message, "invalid_request_error", "invalid_value"), 400)

    for kind, _, _ in _STATUS:
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
