"""Each open tab holds a connection that never ends by itself; a server that stops ends it rather than wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sra_pipelines.server.page.login import PAGE

__all__ = ["HeartbeatEnd"]

_HEARTBEAT = f"{PAGE}/gradio_api/heartbeat/"
_LOOK_AGAIN = 0.2  # seconds


class HeartbeatEnd:
    """ASGI middleware under which heartbeats of tabs end when the server stops.

    Parameters
    ----------
    app
        What lies behind.
    stopping
        Whether the server stops.
    """

    def __init__(self, app: ASGIApp, stopping: Callable[[], bool]) -> None:
        self.app = app
        self.stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        beats = scope["type"] == "http" and scope["path"].startswith(_HEARTBEAT)
        await self.app(scope, self._until_stopping(receive) if beats else receive, send)

    def _until_stopping(self, receive: Receive) -> Receive:
        async def received() -> Message:
            coming = asyncio.ensure_future(receive())
            try:
                while not coming.done() and not self.stopping():
                    await asyncio.wait({coming}, timeout=_LOOK_AGAIN)
                return coming.result() if coming.done() else {"type": "http.disconnect"}
            finally:
                coming.cancel()

        return received
