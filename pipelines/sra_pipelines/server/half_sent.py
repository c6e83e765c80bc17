"""Close connections whose requests do not arrive completely, so that they do not hold the server's resources."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["ImpatientProtocol", "received_in_time"]

_HEADER_SECONDS = 20.0
_SLOWEST = 16_384  # bytes per second of a body


class ImpatientProtocol(H11Protocol):
    """The HTTP protocol of uvicorn, which also closes connections that do not send complete headers in time."""

    header_seconds = _HEADER_SECONDS
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, unless a request is running."""
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch_headers(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # its headers are complete
            self._stop_watching()
        elif self._watch is None:  # not started again by each further byte
            self._watch = self.loop.call_later(self.header_seconds, self._close_late)

    def _close_late(self) -> None:
        self._watch = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


def received_in_time(receive: Receive, seconds: float) -> Receive:
    """Raise if a request body stops arriving, or arrives too slowly.

    Parameters
    ----------
    receive
        Receives the parts of a request.
    seconds
        Maximum time between two parts, and for the whole body in addition to 1 s per 16 kB.

    Returns
    -------
    Receive
        Receives the same parts; raises `HTTPException` with status 408 if the body is late. After the end of the body,
        it waits without a limit.
    """
    started = time.monotonic()
    received, complete = 0, False

    async def receive_in_time() -> Message:
        nonlocal received, complete
        if complete:
            return await receive()
        left = min(seconds, started + seconds + received / _SLOWEST - time.monotonic())
        try:
            async with asyncio.timeout(max(left, 0.0)):
                message: Any = await receive()
        except TimeoutError:
            raise HTTPException(
                408,
                f"The request did not arrive completely: nothing for {seconds:g} s, or fewer than {_SLOWEST:,} bytes "
                "per second. Send it again.",
                {"Connection": "close"},
            ) from None
        received += len(message.get("body", b""))
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        return dict(message)

    return receive_in_time
