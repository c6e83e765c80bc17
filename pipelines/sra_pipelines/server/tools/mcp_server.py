"""The tools over the Model Context Protocol, by its official SDK: over HTTP as a route of the server, or over stdio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

from fastapi import FastAPI
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import Field

from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.public_messages import without_paths
from sra_pipelines.server.slots import QueueFullError
from sra_pipelines.server.tools.document_tools import AnswerWithSources, DocumentTools, FoundPassage, PageText
from sra_rag import __version__
from sra_rag.errors import SRAError

__all__ = ["MCP_PATH", "make_mcp_server", "mount_mcp"]

MCP_PATH = "/mcp"

_INSTRUCTIONS = (
    "Documents of the user. Use 'ask' for a question that one or a few passages answer: it returns an answer of a "
    "local model with the pages that support it. Use 'search' to find passages and 'read_page' to read a page, and "
    "answer from them yourself. Name the document and the page of everything you state."
)
_READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Question = Annotated[str, Field(description="A question that can be understood on its own, with all names in it.")]


def make_mcp_server(completions: Completions) -> MCPServer[Any]:
    """Create the protocol's server for the documents.

    Parameters
    ----------
    completions
        The answers of the server: documents, model, limits and queue.
    """
    tools = DocumentTools(completions)
    server: MCPServer[Any] = MCPServer(
        "sra-rag", title="Documents", instructions=_INSTRUCTIONS, version=__version__, log_level="WARNING"
    )

    @server.tool(title="Search the documents", annotations=_READ_ONLY)
    async def search(
        question: Question,
        context: Context[Any],
        limit: Annotated[int, Field(description="Maximum number of passages, 1 to 20.", ge=1, le=20)] = 5,
    ) -> list[FoundPassage]:
        """Find passages of the documents by meaning and by words. Returns their text, document and page, best first."""
        with _public_errors():
            return await tools.search(question, limit, _client(context))

    @server.tool(title="Ask the documents", annotations=_READ_ONLY)
    async def ask(question: Question, context: Context[Any]) -> AnswerWithSources:
        """Answer a question from the documents with a local model. Returns pages that support the answer, quoted."""
        with _public_errors():
            return await tools.ask(question, _client(context))

    @server.tool(title="Read a page", annotations=_READ_ONLY)
    async def read_page(
        document: Annotated[str, Field(description="Name of the document, as returned by the other tools.")],
        page: Annotated[str, Field(description="Label of the page, as returned by the other tools.")],
        start: Annotated[int, Field(description="Character to start at, for long pages.", ge=0)] = 0,
    ) -> PageText:
        """Read the text of one page of a document."""
        with _public_errors():
            return await tools.read_page(document, page, start)

    return server


def mount_mcp(app: FastAPI, completions: Completions, max_body_bytes: int) -> None:
    """Add the route ``/mcp`` to an application whose middleware checks keys, hosts and sizes.

    Parameters
    ----------
    app
        The application, before it is started.
    completions
        The answers of the server.
    max_body_bytes
        Maximum size in bytes of a request.
    """
    server = make_mcp_server(completions)
    # Requests do not depend on each other, so no session is kept. Hosts are checked by the application.
    inner = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        stateless_http=True,
        max_request_body_size=max_body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    app.router.routes.extend(inner.routes)
    outer = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Any) -> AsyncIterator[Any]:
        async with outer(running) as state, server.session_manager.run():
            yield state

    app.router.lifespan_context = lifespan


@contextmanager
def _public_errors() -> Iterator[None]:
    """Report expected errors to the client without paths of the server; the SDK reports no others."""
    try:
        yield
    except (SRAError, QueueFullError, TimeoutError) as error:
        raise ToolError(without_paths(str(error) or "The time limit was exceeded.")) from error


def _client(context: Context[Any]) -> str:
    """Return the client for fair queueing, as the gate of the server has determined it; empty over stdio."""
    request = context.request_context.request
    return "" if request is None else str(request.state.client)
