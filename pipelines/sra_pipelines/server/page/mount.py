"""Add the web page to the application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from sra_pipelines.answering.chosen_documents import DocumentChoice
from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf
from sra_pipelines.server.server_settings import ServerSettings
from sra_rag.errors import require_extra

__all__ = ["mount_page"]


def mount_page(app: FastAPI, completions: Completions, settings: ServerSettings, shelf: DocumentShelf) -> None:
    """Add the page at ``/page``.

    Parameters
    ----------
    app
        Application with its gate; the login comes before the gate.
    completions
        Answers, with the queue and limits of the API.
    settings
        Limits and keys.
    shelf
        The documents, to which users can add.

    Raises
    ------
    MissingExtraError
        If Jinja2 or Pillow is not installed.
    """
    require_extra("The page of the server", "serve", "jinja2", "PIL")
    from sra_pipelines.server.page import document_routes, routes
    from sra_pipelines.server.page.conversations import Conversations
    from sra_pipelines.server.page.login import PAGE, PageLogin
    from sra_pipelines.server.page.page_state import PageState
    from sra_pipelines.server.page.pictures import PagePictures
    from sra_pipelines.server.page.policy import PagePolicy
    from sra_pipelines.server.page.rendering import STATIC

    choice, pictures = DocumentChoice(completions.qa), PagePictures(shelf.limits)
    app.state.page = PageState(completions, shelf, choice, pictures, Conversations())
    app.add_middleware(PageLogin, settings=settings)
    app.add_middleware(PagePolicy)
    app.include_router(routes.router)
    app.include_router(document_routes.router)
    app.mount(f"{PAGE}/static", StaticFiles(directory=STATIC))
