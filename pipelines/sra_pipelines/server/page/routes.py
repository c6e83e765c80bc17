"""What the page's library may be asked: the routes that the page needs, and events that hold no files.

Gradio accepts a description of a file (a JSON object with a ``path``) as any value of any event. In a mounted
application it does not check the path: it copies the file that the path names into a folder whose files it serves.
So events are read here first: their values may be texts, numbers and lists of texts, none of which names a file. Files
are sent to ``/page/uploads``.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sra_pipelines.server.page.login import PAGE

__all__ = ["PageRoutes"]

_EVENT = "/gradio_api/queue/join"
_GET = {"/", "/config", "/theme.css", "/favicon.ico", "/gradio_api/info", "/gradio_api/queue/data"}
_GET_BELOW = ("/assets/", "/static/", "/gradio_api/heartbeat/")
_POST = {_EVENT, "/gradio_api/cancel"}
_FIELDS = ("data", "fn_index", "session_hash", "trigger_id")


class PageRoutes:
    """ASGI application in front of the page's library: passes on what the page needs, and answers 404 to the rest.

    Parameters
    ----------
    app
        The application of the library, mounted at ``/page``.

    Raises
    ------
    HTTPException
        404 for a route that the page does not need, 400 for an event that is none or holds an object.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = scope["path"].removeprefix(PAGE)
            if not _is_needed(scope["method"], path):
                raise HTTPException(404, f"{path!r} is no part of the page.")
            if path == _EVENT:
                body = _checked_event(await _body(receive))
                others = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
                scope = {**scope, "headers": [*others, (b"content-length", str(len(body)).encode())]}
                receive = _first(body, receive)
        elif scope["type"] == "websocket":
            raise HTTPException(404, "The page has no websockets.")
        await self.app(scope, receive, send)


def _checked_event(body: bytes) -> bytes:
    """Return an event of the page written again, with what the page sends and nothing else.

    Parameters
    ----------
    body
        JSON, as it came.

    Raises
    ------
    HTTPException
        400 if it is no event, or one of its values is more than a text, a number or a list of texts.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The event is not JSON. Reload the page.") from error
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, list) or not all(map(_is_value, data)):
        raise HTTPException(
            400,
            "The values of an event may be texts, numbers and lists of texts; an object, such as the description of a "
            f"file, is refused. Send files to {PAGE}/uploads.",
        )
    return json.dumps({name: event[name] for name in _FIELDS if name in event}).encode()


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or isinstance(value, str | int | float)


def _is_needed(method: str, path: str) -> bool:
    if method == "POST":
        return path in _POST
    return method in ("GET", "HEAD") and (path in _GET or path.startswith(_GET_BELOW))


async def _body(receive: Receive) -> bytes:
    """Read the body whole; the gate limits its size."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _first(body: bytes, receive: Receive) -> Receive:
    """Receive a body that was read already, then what comes after it."""
    waiting = [body]

    async def received() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return received
