"""The catalog of an index: metadata of its documents, read from the database without contents, vectors or a model.

This module does not import numpy or llama_index, so ``sra-rag index list`` starts fast.
"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from pathlib import Path
from typing import Any

from sra_pipelines.index.schema import DOCUMENT_COLUMNS, connect, exists
from sra_pipelines.index.seal import require_intact

__all__ = [
    "IndexedDocument",
    "document_digests",
    "document_keys",
    "index_documents",
    "list_documents",
    "own_embedding",
    "read_meta",
    "stored_path",
    "vector_key",
]

_KEY_LENGTH = 24  # hexadecimal digits of the digest: 12 bytes


@dataclasses.dataclass(frozen=True, slots=True)
class IndexedDocument:
    """Metadata of a document in an index.

    Parameters
    ----------
    name
        Name of the document in passages and citations.
    path
        Path of the file that was read; bytes of it that are not UTF-8 are surrogates, as `os.fsdecode` makes them.
    sha256
        SHA-256 digest of the file, in hexadecimal.
    bytes
        Size of the file in bytes.
    n_pages, n_passages
        Number of pages and passages.
    read_at
        Time at which the file was read, in UTC and ISO 8601 format.
    """

    name: str
    path: str
    sha256: str
    bytes: int
    n_pages: int
    n_passages: int
    read_at: str


def stored_path(path: str) -> str | bytes:
    """Return a path as it is stored: as text, or as a blob of its bytes where they are not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def list_documents(connection: sqlite3.Connection, *, published: bool = True) -> dict[int, IndexedDocument]:
    """Return the documents by id, sorted by name."""
    rows = connection.execute(
        f"SELECT id, {DOCUMENT_COLUMNS} FROM documents WHERE published = ? ORDER BY name",  # noqa: S608
        (int(published),),
    )
    return {number: IndexedDocument(name, os.fsdecode(path), *values) for number, name, path, *values in rows}


def vector_key(digest: str) -> str:
    """Return the vector store key of a document, given by the digest of its contents; see `VectorDocument`."""
    return digest[:_KEY_LENGTH]


def document_keys(connection: sqlite3.Connection, *, published: bool = True) -> dict[int, str]:
    """Return the vector store keys (see `VectorDocument`) of the documents by id, for documents with vectors."""
    rows = connection.execute(
        "SELECT id, substr(digest, 1, ?) FROM documents WHERE published = ? AND n_passages > 0 ORDER BY name",
        (_KEY_LENGTH, int(published)),
    )
    return dict(rows.fetchall())


def document_digests(connection: sqlite3.Connection) -> dict[int, str]:
    """Return the digests of the contents of the published documents by id."""
    return dict(connection.execute("SELECT id, digest FROM documents WHERE published = 1").fetchall())


def index_documents(folder: Path) -> list[IndexedDocument]:
    """Return the documents of an index, without loading the index or a model."""
    with connect(folder) as connection:
        require_intact(connection, folder)
        return list(list_documents(connection).values())


def read_meta(connection: sqlite3.Connection) -> dict[str, Any]:
    """Return the metadata of an index."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def own_embedding(folder: Path) -> str:
    """Return the name of the embedding model of an index, or ``"embedded"`` if the index does not exist yet."""
    if not exists(folder):
        return "embedded"
    with connect(folder) as connection:
        require_intact(connection, folder)
        return str(read_meta(connection)["embedding_name"])
