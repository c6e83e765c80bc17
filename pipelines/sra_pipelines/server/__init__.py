"""Documents answered from over HTTP, in OpenAI's manner."""

from sra_rag.errors import require_extra

require_extra("sra_pipelines.server", "serve", "fastapi", "uvicorn", "prometheus_client", "python_multipart")

from sra_pipelines.server.api.document_shelf import DocumentShelf  # noqa: E402
from sra_pipelines.server.app import create_app  # noqa: E402 - only once its packages are known to be there
from sra_pipelines.server.server_settings import ServerSettings  # noqa: E402

__all__ = ["DocumentShelf", "ServerSettings", "create_app"]
