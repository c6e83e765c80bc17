"""Check API keys and request sizes before a request is read."""

from __future__ import annotations

import secrets

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sra_pipelines.server.api.error_responses import error_body
from sra_pipelines.server.half_sent import received_in_time
from sra_pipelines.server.server_settings import ServerSettings
from sra_pipelines.server.wrong_keys import WrongKeys

__all__ = ["Gate"]

_OPEN = {"/health"}
_UPLOADS = {"/v1/documents", "/page/uploads"}


class Gate:
    """ASGI middleware that rejects requests without a valid key and requests that are too large.

    Parameters
    ----------
    app
        The application.
    settings
        Keys and limits.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.settings = settings
        self.wrong_keys = WrongKeys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or reject it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["path"] not in _OPEN and not self._has_key(headers.get("authorization", "")):
            if "authorization" in headers and (seconds := await self.wrong_keys.delay(_address(scope))):
                body = error_body("Too many requests with wrong API keys.", "invalid_request_error", "invalid_api_key")
                await JSONResponse(body, 429, {"Retry-After": str(seconds)})(scope, receive, send)
                return
            body = error_body("Give an API key: Authorization: Bearer KEY.", "invalid_request_error", "invalid_api_key")
            await JSONResponse(body, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        limit = self._limit(scope)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        scope.setdefault("state", {})["client"] = self._client(scope, headers.get("authorization", ""))
        await self.app(scope, _counted(received_in_time(receive, self.settings.receive_timeout), limit), send)

    def _client(self, scope: Scope, authorization: str) -> str:
        """Return the client for fair queueing: its API key, or its address if no keys are configured."""
        if self.settings.api_keys:
            return authorization.removeprefix("Bearer ")
        return _address(scope)

    def _has_key(self, authorization: str) -> bool:
        keys = self.settings.api_keys
        given = authorization.removeprefix("Bearer ").encode()
        # Compare all keys, so that the time does not reveal which key is closest.
        return not keys or sum(secrets.compare_digest(given, key.encode()) for key in keys) > 0

    def _limit(self, scope: Scope) -> int:
        uploads = scope["path"].rstrip("/") in _UPLOADS
        return self.settings.max_upload_bytes if uploads else self.settings.max_body_bytes

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        body = error_body(_too_large(limit), "invalid_request_error", "too_large")
        await JSONResponse(body, 413)(scope, receive, send)


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _too_large(limit: int) -> str:
    return f"The request is larger than {limit:,} bytes."


def _counted(receive: Receive, limit: int) -> Receive:
    """Reject a body that is larger than the limit while it is received."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted
