"""The tools over standard input and output, for a client that starts the server as its child process."""

from __future__ import annotations

import asyncio
import time

from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.running_answers import LONGEST_STEP, is_computing
from sra_pipelines.server.server_settings import ServerSettings
from sra_pipelines.server.tools.mcp_server import make_mcp_server

__all__ = ["run_stdio"]

_LOOK_AGAIN = 0.05


def run_stdio(qa: DocumentQA, settings: ServerSettings) -> None:
    """Serve the tools until standard input ends. Nothing but the protocol is written to standard output.

    Parameters
    ----------
    qa
        Pipeline with the documents and the model.
    settings
        Limits; the address and keys are not used.
    """
    completions = Completions(qa, settings)
    try:
        asyncio.run(make_mcp_server(completions).run_stdio_async())
    finally:
        completions.stop()
        until = time.monotonic() + LONGEST_STEP
        while is_computing() and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)
