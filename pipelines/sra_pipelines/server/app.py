"""The application: routes, and the middleware that checks keys and sizes."""

from __future__ import annotations

from fastapi import FastAPI, Response

from sra_pipelines.answering.document_qa import DocumentQA
from sra_pipelines.server.api import chat_completions, document_shelf, model_list, responses
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_pipelines.server.api.error_responses import install_error_handlers
from sra_pipelines.server.gate import Gate
from sra_pipelines.server.own_origin import OwnOriginOnly
from sra_pipelines.server.page.mount import mount_page
from sra_pipelines.server.server_settings import ServerSettings
from sra_rag.errors import ConfigError, require_extra

__all__ = ["create_app"]


def create_app(
    qa: DocumentQA,
    settings: ServerSettings | None = None,
    *,
    shelf: DocumentShelf | None = None,
    page: bool = False,
    mcp: bool = False,
) -> FastAPI:
    """Create the application for a question answering pipeline.

    Parameters
    ----------
    qa
        Pipeline with the documents and the model.
    settings
        Limits and keys; by default those of a server that is only reachable from this machine.
    shelf
        Shelf to which clients can add documents, and from which they can remove them; None to disallow changes.
    page
        Whether to also serve the web page.
    mcp
        Whether to also serve the documents as tools of the Model Context Protocol, at ``/mcp``.

    Raises
    ------
    ConfigError
        If `page` is set without a `shelf`.
    MissingExtraError
        If `page` or `mcp` is set and its library is not installed.
    """
    settings = settings or ServerSettings()
    completions = Completions(qa, settings)

    app = FastAPI(title="sra-rag", docs_url=None, redoc_url=None)
    app.state.completions = completions
    app.state.shelf = shelf
    for routes in (chat_completions, responses, model_list, document_shelf):
        app.include_router(routes.router)
    install_error_handlers(app)
    app.add_middleware(Gate, settings=settings)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(completions.metrics.text(), media_type="text/plain; version=0.0.4")

    if mcp:
        require_extra("The Model Context Protocol", "mcp", "mcp")
        from sra_pipelines.server.tools.mcp_server import mount_mcp

        mount_mcp(app, completions, settings.max_body_bytes)
    if page:
        if shelf is None:
            raise ConfigError("The page shows the pages of an index on disk. Give a shelf, or page=False.")
        mount_page(app, completions, settings, shelf)
    if not settings.api_keys:
        app.add_middleware(OwnOriginOnly)  # last, so that it comes before all others
    return app
