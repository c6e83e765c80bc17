"""Tabs that are open do not hold up a server that stops."""

import asyncio
import time

import httpx
import pytest
from fastapi.responses import StreamingResponse
from sra_pipelines.server.page.heartbeat import HeartbeatEnd


@pytest.mark.parametrize(("path", "ends"), [("/page/gradio_api/heartbeat/tab", True), ("/v1/chat/completions", False)])
def test_heartbeats_end_when_the_server_stops(serving, path, ends):
    stopping = False

    async def beats():
        until = time.monotonic() + 3
        while time.monotonic() < until:
            yield "ALIVE\n"
            await asyncio.sleep(0.05)
        yield "BY ITSELF\n"

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await StreamingResponse(beats())(scope, receive, send)

    with serving(HeartbeatEnd(app, lambda: stopping)) as address, httpx.stream("GET", f"{address}{path}") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "ALIVE"
        stopping = True
        try:
            last = list(lines)[-1]
        except httpx.RemoteProtocolError:  # cut off, as a tab sees it
            last = "cut off"
    assert (last == "BY ITSELF") != ends
