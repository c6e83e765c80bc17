"""The page's way through the gate: a browser brings a cookie, which becomes the key that it logged in with.

Only requests below ``/page`` are looked at. What comes with neither cookie nor key goes on to the gate as it is, which
refuses it; so nothing is open here that is not open there.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sra_pipelines.server.server_settings import ServerSettings

__all__ = ["COOKIE", "PAGE", "PageLogin"]

PAGE = "/page"
COOKIE = "sra_rag_page"
_SECONDS = 12 * 3600  # a login holds so long
_MOST = 1000  # logins; the oldest give way
_LONGEST_FORM = 4096  # bytes
_FORM = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>sra-rag: log in</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 10vh auto; max-width: 24rem; padding: 0 1rem; }}
label, input, button {{ box-sizing: border-box; display: block; font: inherit; width: 100%; }}
input, button {{ margin-top: .5rem; padding: .6rem; }}
</style></head>
<body><main><h1>sra-rag</h1>
<form method="post" action="{action}"><label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button></form>
<p role="alert">{said}</p></main></body></html>
"""


class PageLogin:
    """ASGI middleware before the gate: logs browsers in and out.

    Parameters
    ----------
    app
        What lies behind, the gate first.
    settings
        Whose keys log in; without keys nobody needs to.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self.settings = settings
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
            self._logins.pop(_token(request), None)
            response = RedirectResponse(f"{PAGE}/login", 303)
            response.delete_cookie(COOKIE, path=PAGE)
            await response(scope, receive, send)
            return
        key = self._key(request)
        if keyed and "authorization" not in request.headers:
            if key is not None:
                scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]}
            elif request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                await RedirectResponse(f"{PAGE}/login", 303)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return _form("")
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "GET, POST"})
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST_FORM:
                return _form("That is too long to be a key.", 413)
        given = parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip().encode()
        held = [key for key in self.settings.api_keys if secrets.compare_digest(given, key.encode())]
        if not held:
            return _form("This is not a key of this server.", 401)
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
        token = _token(request)
        key, until = self._logins.get(token, (None, 0.0))
        if key is not None and until < time.monotonic():
            del self._logins[token]
            return None
        return key


def _form(said: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_FORM.format(action=f"{PAGE}/login", said=said), status)


def _token(request: Request) -> str:
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
