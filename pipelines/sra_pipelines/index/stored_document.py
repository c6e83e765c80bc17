"""Documents in the database of an index: write and load them, what their pages are, and compute their digests.

An index of an earlier version does not have what the pages are; it gets it without new embeddings.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sra_pipelines.index.catalog import IndexedDocument, document_digests, list_documents, read_meta, stored_path
from sra_pipelines.index.schema import DOCUMENT_COLUMNS, STRUCTURES, transaction
from sra_pipelines.index.seal import damaged
from sra_pipelines.structure.document_structure import RULES, DocumentStructure, find_structure
from sra_pipelines.values import Page, Passage

__all__ = [
    "StoredDocument",
    "add_missing_structures",
    "insert_document",
    "insert_with_structure",
    "load_document",
    "load_structure",
]


@dataclasses.dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with its pages, passages and vectors.

    Parameters
    ----------
    metadata
        Name, path, digest and sizes of the document.
    pages
        The pages, without headings; passages contain the headings as sections.
    passages
        The passages in reading order.
    vectors
        Unit vectors of the passages; float32, [passages, dimension].
    """

    metadata: IndexedDocument
    pages: tuple[Page, ...]
    passages: tuple[Passage, ...]
    vectors: npt.NDArray[np.float32]

    def digest(self) -> str:
        """Return the SHA-256 digest of all fields except the path, to detect changed bits in text, spans or vectors."""
        metadata = self.metadata
        rows = [
            [metadata.name, metadata.sha256, metadata.bytes, metadata.n_pages, metadata.n_passages],
            [[page.index, page.label, page.text] for page in self.pages],
            [[p.page_index, p.start, p.end, p.section] for p in self.passages],
        ]
        digest = hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode())
        digest.update(_to_bytes(self.vectors))
        return digest.hexdigest()


def insert_document(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """Write an unpublished document within the transaction of the caller, and return its id."""
    metadata, path = document.metadata, stored_path(document.metadata.path)
    connection.execute("DELETE FROM documents WHERE published = 0 AND (path = ? OR name = ?)", (path, metadata.name))
    cursor = connection.execute(
        f"INSERT INTO documents (published, {DOCUMENT_COLUMNS}, digest, vectors) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (metadata.name, path, *dataclasses.astuple(metadata)[2:], document.digest(), _to_bytes(document.vectors)),
    )
    number = cursor.lastrowid
    if number is None:  # pragma: no cover - an insert has an id
        raise RuntimeError("SQLite gave no row id.")
    connection.executemany(
        "INSERT INTO pages VALUES (?, ?, ?, ?)",
        [(number, page.index, page.label, page.text) for page in document.pages],
    )
    connection.executemany(
        "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?)",
        [(number, i, p.page_index, p.start, p.end, p.section) for i, p in enumerate(document.passages)],
    )
    return number


def load_document(
    connection: sqlite3.Connection, number: int, metadata: IndexedDocument, dimension: int
) -> tuple[StoredDocument, str]:
    """Load a document and its stored digest.

    Raises
    ------
    ValueError
        If the page of a passage does not exist, or the number of vectors differs from the number of passages.
    """
    digest, blob = connection.execute("SELECT digest, vectors FROM documents WHERE id = ?", (number,)).fetchone()
    pages = tuple(
        Page(*row)
        for row in connection.execute(
            "SELECT page_index, label, text FROM pages WHERE document_id = ? ORDER BY page_index", (number,)
        )
    )
    by_index = {page.index: page for page in pages}
    rows: Sequence[tuple[int, int, int, str]] = connection.execute(
        "SELECT page_index, first, last, section FROM passages WHERE document_id = ? ORDER BY position", (number,)
    ).fetchall()
    if any(index not in by_index for index, *_ in rows):
        raise ValueError("a passage is on a page that does not exist")
    passages = tuple(
        Passage(
            document=metadata.name,
            page_index=index,
            page_label=by_index[index].label,
            text=by_index[index].text[start:end],
            section=section,
            start=start,
            end=end,
        )
        for index, start, end, section in rows
    )
    if len(blob) != 4 * dimension * len(passages):
        raise ValueError(f"{len(passages)} passages of dimension {dimension}, but {len(blob)} bytes of vectors")
    vectors = np.frombuffer(blob, dtype="<f4").reshape(len(passages), dimension)
    return StoredDocument(metadata, pages, passages, vectors), str(digest)


def _to_bytes(vectors: npt.NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def insert_with_structure(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """Write an unpublished document and what its pages are, see `insert_document`."""
    number = insert_document(connection, document)
    _insert_structure(connection, number, document.digest(), find_structure(document.passages))
    return number


def load_structure(connection: sqlite3.Connection, number: int, digest: str) -> DocumentStructure | None:
    """Return what the pages of a document are; None if the index does not have it, or by rules of another version.

    Parameters
    ----------
    connection
        Connection to the index.
    number
        Id of the document.
    digest
        Digest of the document in the index.

    Raises
    ------
    ValueError
        If the stored text differs from its digest.
    """
    if not _has_table(connection):
        return None
    row = connection.execute("SELECT rules, value, digest FROM structures WHERE document_id = ?", (number,)).fetchone()
    if row is None or row[0] != RULES:
        return None
    if row[2] != _structure_digest(digest, row[1]):
        raise ValueError("the kinds of its pages differ from the stored digest")
    return DocumentStructure.from_json(row[1])


def add_missing_structures(connection: sqlite3.Connection, folder: Path) -> int:
    """Find what the pages are, for the documents of an index that do not have it; return the number of documents.

    Raises
    ------
    StoreError
        If one of these documents is damaged.
    """
    connection.execute(STRUCTURES)
    known = {number for (number,) in connection.execute("SELECT document_id FROM structures WHERE rules = ?", (RULES,))}
    missing = {number: own for number, own in list_documents(connection).items() if number not in known}
    if not missing:
        return 0
    dimension, digests = int(read_meta(connection)["embedding_dimension"]), document_digests(connection)
    for number, metadata in missing.items():
        try:
            document, _ = load_document(connection, number, metadata, dimension)
        except (ValueError, TypeError) as error:
            raise damaged(folder, f"{metadata.name}: {error}") from error
        with transaction(connection):
            _insert_structure(connection, number, digests[number], find_structure(document.passages))
    return len(missing)


def _insert_structure(connection: sqlite3.Connection, number: int, digest: str, structure: DocumentStructure) -> None:
    text = structure.to_json()
    connection.execute(
        "INSERT OR REPLACE INTO structures VALUES (?, ?, ?, ?)", (number, RULES, text, _structure_digest(digest, text))
    )


def _has_table(connection: sqlite3.Connection) -> bool:
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'structures'"
    return bool(connection.execute(query).fetchone()[0])


def _structure_digest(of_document: str, text: str) -> str:
    """Return a digest that is valid for one document only."""
    return hashlib.sha256(f"{of_document}\n{text}".encode()).hexdigest()
