"""The page of the server: questions, answers, sources and documents in a browser. Its library is imported only here."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount

from sra_pipelines.server.api.completions import Completions
from sra_pipelines.server.api.document_shelf import DocumentShelf, add_document
from sra_pipelines.server.page.heartbeat import HeartbeatEnd
from sra_pipelines.server.page.login import PAGE, PageLogin
from sra_pipelines.server.page.own_host import OwnHostOnly
from sra_pipelines.server.page.routes import PageRoutes
from sra_pipelines.server.server_settings import ServerSettings
from sra_rag.errors import require_extra

__all__ = ["mount_page"]


def mount_page(app: FastAPI, completions: Completions, settings: ServerSettings, shelf: DocumentShelf) -> None:
    """Mount the page at ``/page`` of the application, behind its gate.

    Parameters
    ----------
    app
        Already with its gate; the login comes before that.
    completions
        Answers, in its queue and within its limits.
    settings
        Limits and keys.
    shelf
        The documents, and where new ones are added.

    Raises
    ------
    MissingExtraError
        If gradio is not installed.
    """
    require_extra("The page of the server", "serve", "gradio")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when it is imported
    import gradio as gr

    from sra_pipelines.server.page.blocks import page_blocks

    app.add_middleware(PageLogin, settings=settings)
    app.add_middleware(OwnHostOnly)
    app.add_middleware(HeartbeatEnd, stopping=lambda: completions.under_way.stopping)

    # What the page sends with its cookie, which is worth nothing at /v1/documents.
    app.add_api_route(f"{PAGE}/uploads", add_document, methods=["POST"], status_code=201)
    gr.mount_gradio_app(
        app, page_blocks(completions, shelf, keyed=bool(settings.api_keys)), PAGE,
        footer_links=[], run_history=False, ssr_mode=False, mcp_server=False,
        enable_monitoring=False, pwa=False, show_error=True, js=Path(__file__).with_name("page.js").read_text("utf-8"),
        css_paths=Path(__file__).with_name("page.css"),
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]).set(
            # The library's own greys are too pale to read.
            body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
            block_info_text_color="*neutral_600", block_info_text_color_dark="*neutral_300",
            input_placeholder_color="*neutral_500", input_placeholder_color_dark="*neutral_400",
        ),
    )  # fmt: skip
    [mounted] = [route for route in app.routes if isinstance(route, Mount) and route.path == PAGE]
    mounted.app = PageRoutes(mounted.app)
