"""Responses that depend on a client that may disconnect: streams of server-sent events, and answers that take long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sra_pipelines.answering.answers import Answer
from sra_pipelines.server.api.completions import Piece
from sra_rag.generation.result import Generation

__all__ = ["EventStream", "collected", "event", "generation_of", "start_stream", "unless_disconnected"]

_POLL_INTERVAL = 0.2  # seconds between checks for a disconnected client

T = TypeVar("T")


class EventStream(StreamingResponse):
    """Server-sent events; the generation is stopped whenever the response ends.

    Parameters
    ----------
    events
        The events, each as its whole text.
    pieces
        The answer that they are made from.
    """

    def __init__(self, events: AsyncIterator[str], pieces: AsyncGenerator[Piece, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.pieces.aclose()


async def start_stream(
    request: Request,
    pieces: AsyncGenerator[Piece, None],
    make_events: Callable[[AsyncIterator[Piece]], AsyncIterator[str]],
) -> EventStream:
    """Wait for the first piece of an answer, so that an error until then has its own status; then return the stream.

    Parameters
    ----------
    request
        The request.
    pieces
        The answer.
    make_events
        Returns the events for the pieces of the answer.
    """
    try:
        first = await unless_disconnected(request, anext(pieces))
    except BaseException:
        await pieces.aclose()
        raise
    return EventStream(make_events(_chain(first, pieces)), pieces)


async def collected(pieces: AsyncIterator[Piece]) -> Answer | Generation:
    """Return the complete answer."""
    async for piece in pieces:
        if isinstance(piece, Answer | Generation):
            return piece
    raise RuntimeError("The answer ended without an end.")  # pragma: no cover - streams end with a whole answer


async def unless_disconnected(request: Request, work: Awaitable[T]) -> T:
    """Await `work`, and cancel it if the client disconnects."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_POLL_INTERVAL)
            if not task.done() and await request.is_disconnected():
                raise HTTPException(499, "The client disconnected.")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def event(value: Mapping[str, Any], kind: str | None = None) -> str:
    """Return a server-sent event with JSON data."""
    name = "" if kind is None else f"event: {kind}\n"
    return f"{name}data: {json.dumps(value, ensure_ascii=False)}\n\n"


def generation_of(last: Answer | Generation) -> Generation:
    """Return the generation of a complete answer, with or without documents."""
    return last.generation if isinstance(last, Answer) else last


async def _chain(first: Piece, rest: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    yield first
    async for item in rest:
        yield item
