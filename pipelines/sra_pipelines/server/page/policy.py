"""What the browser may do on the page: load from this server only, run no inline script, and be in no frame.

The page has no inline scripts and styles and evaluates no text, so the policy allows none. Requests that change
something are also rejected if the browser reports that another page sent them.
"""

from __future__ import annotations

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sra_pipelines.server.api.error_responses import error_body
from sra_pipelines.server.page.login import PAGE

__all__ = ["POLICY", "PagePolicy"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")


class PagePolicy:
    """ASGI middleware that sends the policy with each response of the page, and rejects requests of other pages.

    Parameters
    ----------
    app
        The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PAGE}/"):
            await self.app(scope, receive, send)
            return
        site = dict(scope["headers"]).get(b"sec-fetch-site", b"none")
        if scope["method"] in _CHANGING and site not in (b"same-origin", b"none"):
            message = "Another web page sent this request. Use the page of the server itself."
            body = error_body(message, "invalid_request_error", "foreign_origin")
            await JSONResponse(body, 403)(scope, receive, _with_policy(send))
            return
        await self.app(scope, receive, _with_policy(send))


def _with_policy(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            # A response with a policy of its own (the login page, which has an inline style sheet) keeps it.
            given = {name.lower() for name, _ in message.get("headers", ())}
            added = [(name, value) for name, value in _HEADERS.items() if name not in given]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
