"""Open vector stores by URL: Qdrant and PostgreSQL with pgvector, through the classes of LlamaIndex."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from llama_index.core.vector_stores.types import BasePydanticVectorStore

from sra_pipelines.index.stores.framework_store import FrameworkStore, reaching
from sra_rag.errors import ConfigError, require_extra

__all__ = ["check_store_url", "open_store"]

_Opened = tuple[BasePydanticVectorStore, Callable[[], None]]

_FORMS = "qdrant+http://HOST:6333, qdrant+https://HOST, qdrant+file:///FOLDER or postgresql://USER@HOST:5432/DATABASE"
_TIMEOUT = 10  # seconds
_HNSW = {"hnsw_m": 16, "hnsw_ef_construction": 128, "hnsw_ef_search": 400}


def check_store_url(url: str) -> None:
    """Raise if a text is not the URL of a vector store.

    Raises
    ------
    ConfigError
        If the form of the URL is not supported, or it contains a password, which would be saved in the index.
    """
    parts = urlsplit(url)
    if parts.password is not None:
        raise ConfigError(
            "The URL of the vector store contains a password. Omit it, and set PGPASSWORD (or ~/.pgpass) for "
            "PostgreSQL, QDRANT_API_KEY for Qdrant."
        )
    if parts.scheme not in _OPENERS:
        raise ConfigError(f"{url!r} is not the URL of a vector store. Use {_FORMS}, or faiss for none.")


def open_store(url: str, index_id: str, dimension: int) -> FrameworkStore:
    """Open the vector store of an index; its collection or table is created if it does not exist.

    Parameters
    ----------
    url
        URL of the store, see `check_store_url`.
    index_id
        Id of the index. It is part of the name of the collection or table, so that indexes can share a server.
    dimension
        Dimension of the vectors.

    Raises
    ------
    ConfigError
        See `check_store_url`.
    MissingExtraError
        If the LlamaIndex class for the store is not installed.
    VectorStoreError
        If the store cannot be reached.
    """
    check_store_url(url)
    with reaching(url):
        vectors, close = _OPENERS[urlsplit(url).scheme](url, f"sra_rag_{index_id}", dimension)
    return FrameworkStore(vectors, where=url, owner=index_id, dimension=dimension, on_close=close)


def _qdrant(url: str, name: str, dimension: int) -> _Opened:
    require_extra("A vector store on Qdrant", "qdrant", "qdrant_client", "llama_index.vector_stores.qdrant")
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    parts = urlsplit(url)
    if parts.scheme == "qdrant+file":
        client = QdrantClient(path=unquote(parts.path))
    else:
        address = urlunsplit(parts._replace(scheme=parts.scheme.removeprefix("qdrant+")))
        key = os.environ.get("QDRANT_API_KEY")
        # The compatibility check only warns; the next call raises if the server cannot be reached.
        client = QdrantClient(url=address, api_key=key, timeout=_TIMEOUT, check_compatibility=False)
    if not client.collection_exists(name):
        size = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        client.create_collection(name, vectors_config=size)
        if parts.scheme != "qdrant+file":  # local mode does not support payload indexes
            client.create_payload_index(
                name, "doc_id", models.PayloadSchemaType.KEYWORD
            )  # documents are removed by this key
    return QdrantVectorStore(name, client=client), client.close


def _postgres(url: str, name: str, dimension: int) -> _Opened:
    require_extra("A vector store on PostgreSQL", "postgres", "psycopg2", "llama_index.vector_stores.postgres")
    from llama_index.vector_stores.postgres import PGVectorStore
    from sqlalchemy.engine import make_url

    hnsw = parse_qs(urlsplit(url).query).get("hnsw", ["off"])[-1] == "on"
    address = make_url(url).difference_update_query(["hnsw"])
    patient = address.update_query_dict({"connect_timeout": str(_TIMEOUT)})
    vectors = PGVectorStore(
        connection_string=patient.set(drivername="postgresql+psycopg2"),
        async_connection_string=address.set(drivername="postgresql+asyncpg"),
        table_name=name,
        embed_dim=dimension,
        hnsw_kwargs=dict(_HNSW) if hnsw else None,  # without HNSW, the search is exact
        create_engine_kwargs={"pool_pre_ping": True},  # reconnect after a restart of the server
        initialization_fail_on_error=True,
    )

    def close() -> None:
        if vectors.client is not None:  # connected on first use
            vectors.client.dispose()

    return vectors, close


_OPENERS: dict[str, Callable[[str, str, int], _Opened]] = {
    "qdrant+http": _qdrant,
    "qdrant+https": _qdrant,
    "qdrant+file": _qdrant,
    "postgresql": _postgres,
}
