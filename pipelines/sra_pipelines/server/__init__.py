"""Documents answered from over HTTP, in OpenAI's manner."""

from typing import TYPE_CHECKING

from sra_rag.errors import require_extra
from sra_rag.lazy_imports import lazy_names

require_extra("sra_pipelines.server", "serve", "fastapi", "uvicorn", "prometheus_client", "python_multipart")

if TYPE_CHECKING:
    from sra_pipelines.server.api.document_shelf import DocumentShelf
    from sra_pipelines.server.app import create_app
    from sra_pipelines.server.server_settings import ServerSettings
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_pipelines.server.api.document_shelf": ["DocumentShelf"],
            "sra_pipelines.server.app": ["create_app"],
            "sra_pipelines.server.server_settings": ["ServerSettings"],
        },
    )

__all__ = ["DocumentShelf", "ServerSettings", "create_app"]
