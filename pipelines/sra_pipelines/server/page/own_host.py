"""The page asks no other host for anything: a policy says so to the browser, and the library's links are taken out."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sra_pipelines.server.page.login import PAGE

__all__ = ["OwnHostOnly"]

# The page's library writes scripts and styles in line and makes functions of texts.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
_LINKS = re.compile(
    rb"""<meta\s+(?:name|property)="(?:og|twitter):[^>]*>|<link\s[^>]*rel="manifest"[^>]*>"""
    rb"""|https://github\.com/gradio-app/[^"\\]*"""  # its example of a file
)


class OwnHostOnly:
    """ASGI middleware that keeps what is below ``/page`` to the host it came from.

    Parameters
    ----------
    app
        What lies behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PAGE}/"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
            # Compressed, its links could not be found.
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
            send = _Cleaned(send)
        await self.app(scope, receive, _with_policy(send))


class _Cleaned:
    """Holds a page of HTML until it is whole, and sends it without the links."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
            return
        if self.start is None or message["type"] != "http.response.body":
            await self.send(message)
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = _LINKS.sub(b"", self.body)
        headers = [(name, value) for name, value in self.start["headers"] if name.lower() != b"content-length"]
        await self.send({**self.start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self.send({"type": "http.response.body", "body": body})


def _is_html(start: Message) -> bool:
    return any(n.lower() == b"content-type" and v.startswith(b"text/html") for n, v in start.get("headers", ()))


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            others = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in _HEADERS]
            message = {**message, "headers": [*others, *_HEADERS.items()]}
        await send(message)

    return sending
