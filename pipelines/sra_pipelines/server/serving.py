"""Run the server until it is stopped; then wait for running answers, stop the rest, and log which."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_pipelines.server.half_sent import ImpatientProtocol
from sra_pipelines.server.running_answers import LONGEST_STEP, is_computing
from sra_pipelines.server.server_settings import ServerSettings
from sra_rag.errors import ConfigError

__all__ = ["require_free_address", "run_server", "server_config"]

_LOOK_AGAIN = 0.05


def require_free_address(settings: ServerSettings) -> None:
    """Raise if the server cannot listen on its address. This is known before a model is loaded.

    Raises
    ------
    ConfigError
        If another program uses the port, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        # Python repeats the address in the reason.
        reason = (error.strerror or str(error)).partition(" (while")[0].lower()
        raise ConfigError(
            f"The server cannot listen on {settings.host}:{settings.port}: {reason}. "
            "Stop the other program, or give another --port."
        ) from error


def run_server(app: FastAPI, settings: ServerSettings) -> None:
    """Serve `app` until SIGTERM or SIGINT; a second signal ends the grace period.

    Parameters
    ----------
    app
        The application, from `create_app`.
    settings
        Address of the server, and `grace` seconds for running answers.
    """
    shelf: DocumentShelf | None = app.state.shelf
    if shelf is not None:
        threading.Thread(target=shelf.start, name="sra-rag-start-reader", daemon=True).start()
    _Server(server_config(app, settings), settings.grace).run()


def server_config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    """Return the configuration of the server: half-sent requests are closed, and its log contains no queries."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=ImpatientProtocol,
        log_level="info",
        timeout_graceful_shutdown=int(settings.grace + LONGEST_STEP + 1),
    )
    for name in ("uvicorn.access", "uvicorn.error"):  # the second logs requests for WebSockets
        logging.getLogger(name).addFilter(_without_query)
    return config


def _without_query(record: logging.LogRecord) -> bool:
    """Remove the query from the address in a line of the log: clients put API keys there by mistake."""
    if isinstance(record.args, tuple):
        record.args = tuple(re.sub(r"\?.*", "", a, flags=re.DOTALL) if isinstance(a, str) else a for a in record.args)
    return True


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, grace: float) -> None:
        super().__init__(config)
        self.grace = grace
        self.hurry = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown, without recording the signal, which uvicorn would raise again: the exit status is 0."""
        if self.should_exit:
            self.hurry = True
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Reject new requests, and finish or stop the running ones."""
        app = self.config.app
        assert isinstance(app, FastAPI)  # noqa: S101 - passed by `run_server`
        completions: Completions = app.state.completions
        shelf: DocumentShelf | None = app.state.shelf
        completions.under_way.finish(self.grace)
        watch = asyncio.create_task(self._stop_late_ones(completions, shelf))
        try:
            await super().shutdown(sockets)
        finally:
            watch.cancel()
        until = time.monotonic() + LONGEST_STEP
        while is_computing() and time.monotonic() < until:
            await asyncio.sleep(_LOOK_AGAIN)
        completions.under_way.report()

    async def _stop_late_ones(self, completions: Completions, shelf: DocumentShelf | None) -> None:
        until = time.monotonic() + self.grace
        while time.monotonic() < until and not self.hurry:
            await asyncio.sleep(_LOOK_AGAIN)
        completions.stop()
        if shelf is not None:
            shelf.stop()
