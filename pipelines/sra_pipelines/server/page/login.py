"""Login to the page: the cookie of a browser is replaced by the API key that it logged in with, for the gate.

Only requests below ``/page`` are affected. Requests with neither a cookie nor a key are passed on unchanged, and the
gate rejects them. So the page requires the same keys as the API.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sra_pipelines.server.page.rendering import STATIC, render
from sra_pipelines.server.server_settings import ServerSettings
from sra_pipelines.server.wrong_keys import WrongKeys

__all__ = ["COOKIE", "PAGE", "PageLogin", "cookie"]

PAGE = "/page"
COOKIE = "sra_rag_page"
_SECONDS = 12 * 3600  # a login expires after this time
_MOST = 1000  # logins; the oldest are dropped first
_LONGEST_FORM = 4096  # bytes


class PageLogin:
    """ASGI middleware that precedes the gate and logs browsers in and out.

    Parameters
    ----------
    app
        The application with its gate.
    settings
        The API keys that can log in; without keys no login is required.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.settings = settings
        self.wrong_keys = WrongKeys()
        self._logins: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == "/":
            await RedirectResponse(f"{PAGE}/", 303)(scope, receive, send)
            return
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PAGE}/"):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        keyed = bool(self.settings.api_keys)
        if keyed and scope["path"] == f"{PAGE}/login":
            await (await self._login(request))(scope, receive, send)
            return
        if keyed and scope["path"] == f"{PAGE}/logout" and request.method == "POST":
            self._logins.pop(cookie(request, COOKIE), None)
            response = RedirectResponse(f"{PAGE}/login", 303)
            response.delete_cookie(COOKIE, path=PAGE)
            await response(scope, receive, send)
            return
        key = self._key(request)
        if keyed and "authorization" not in request.headers:
            if key is not None:
                scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]}
            elif request.method == "GET" and _shows_a_page(request):
                await RedirectResponse(f"{PAGE}/login", 303)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return _form("")
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "GET, POST"})
        body = b""
        try:
            async with asyncio.timeout(self.settings.receive_timeout):
                async for piece in request.stream():
                    body += piece
                    if len(body) > _LONGEST_FORM:
                        return _form("The text is too long to be an API key. Enter a key of this server.", 413)
        except TimeoutError:
            return _form("The key did not arrive completely. Try again.", 408)
        given = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip().encode()
        held = [key for key in self.settings.api_keys if secrets.compare_digest(given, key.encode())]
        if not held:
            await self.wrong_keys.delay(request.client.host if request.client else "")
            return _form("This is not an API key of this server. Check it, or ask the administrator.", 401)
        token = secrets.token_urlsafe(32)
        self._logins[token] = held[0], time.monotonic() + _SECONDS
        while len(self._logins) > _MOST:
            self._logins.popitem(last=False)
        response = RedirectResponse(f"{PAGE}/", 303)
        response.set_cookie(
            COOKIE, token, max_age=_SECONDS, path=PAGE, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    def _key(self, request: Request) -> str | None:
        token = cookie(request, COOKIE)
        key, until = self._logins.get(token, (None, 0.0))
        if key is not None and until < time.monotonic():
            del self._logins[token]
            return None
        return key


def _form(problem: str, status: int = 200) -> HTMLResponse:
    # The files of the page require a login, so the style sheet is in the form itself.
    nonce = secrets.token_urlsafe(16)
    css = (STATIC / "page.css").read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    html = render("login.html", action=f"{PAGE}/login", problem=problem, css=css, nonce=nonce)
    return HTMLResponse(html, status, {"Content-Security-Policy": policy, "Cache-Control": "no-store"})


def _shows_a_page(request: Request) -> bool:
    """Whether a browser opens an address itself; a script that reads a part of the page needs status 401 instead."""
    return "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers


def cookie(request: Request, name: str) -> str:
    """Return the value of a cookie, empty if the request has none with this name."""
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""
