"""A server without API keys answers only to clients of this machine, not to web pages that a browser there has open.

A page of another origin can send requests to ``127.0.0.1``; by DNS rebinding, where its own name comes to mean
``127.0.0.1``, it can read the answers too. Browsers say where a request comes from: in ``Host`` the name that the page
used, in ``Origin`` and ``Sec-Fetch-Site`` the page. Clients that are no browsers send no ``Origin``.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sra_pipelines.server.api.error_responses import error_body
from sra_pipelines.server.loopback import is_loopback

__all__ = ["OwnOriginOnly"]


class OwnOriginOnly:
    """ASGI middleware that refuses, with status 403, what is sent to another host or by a page of another origin.

    The port in ``Host`` may be any, so that the server is reached through a forwarded port too.

    Parameters
    ----------
    app
        The application, which listens on a loopback address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        problem = _problem(scope) if scope["type"] in ("http", "websocket") else ""
        if not problem:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: status 403
        else:
            hint = "Use http://127.0.0.1 or http://localhost with the server's port, or start it with --api-key."
            body = error_body(f"{problem} {hint}", "invalid_request_error", "foreign_origin")
            await JSONResponse(body, 403)(scope, receive, send)


def _problem(scope: Scope) -> str:
    """Return why a request is refused, empty where it is not."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    hosts = headers.get("host", [])
    host = _split(f"//{hosts[0]}") if len(hosts) == 1 else None
    if host is None or not is_loopback(host.hostname or ""):
        return f"The request is to the host {', '.join(hosts) or '(none)'!r}; without API keys only loopback is served."
    for value in headers.get("origin", []):
        origin = _split(value)
        if origin is None or origin.scheme not in ("http", "https") or origin.netloc.lower() != host.netloc.lower():
            return f"The request is from a page of {value!r}; without API keys only the server's own page is served."
    site = headers.get("sec-fetch-site", ["none"])[0]
    opens = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == ["navigate"]  # a link to the page
    framed = headers.get("sec-fetch-dest", ["document"]) != ["document"]
    if site in ("cross-site", "same-site") and (framed or not opens):
        return f"The request is from a page of another site ({site}); without API keys only the server's own is served."
    return ""


def _split(address: str) -> SplitResult | None:
    try:
        split = urlsplit(address)
        split.port  # noqa: B018 - raises if it is no number
    except ValueError:
        return None
    return None if "@" in split.netloc or split.path not in ("", "/") else split
