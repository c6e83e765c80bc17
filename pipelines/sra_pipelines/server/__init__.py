"""HTTP server that answers questions about documents, with an OpenAI-compatible API."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("sra_pipelines.server", "serve", "fastapi", "uvicorn", "prometheus_client", "python_multipart")

if TYPE_CHECKING:
    from sra_pipelines.server.api.document_shelf import DocumentShelf
    from sra_pipelines.server.app import create_app
    from sra_pipelines.server.server_settings import ServerSettings
else:  # a visible __getattr__ would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_pipelines.server.api.document_shelf": ["DocumentShelf"],
            "sra_pipelines.server.app": ["create_app"],
            "sra_pipelines.server.server_settings": ["ServerSettings"],
        },
    )

__all__ = ["DocumentShelf", "ServerSettings", "create_app"]
