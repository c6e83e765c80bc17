"""Documents in the database of an index: write and load them, and compute their digests."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sra_pipelines.index.catalog import IndexedDocument, stored_path
from sra_pipelines.index.schema import DOCUMENT_COLUMNS
from sra_pipelines.values import Page, Passage

__all__ = ["StoredDocument", "insert_document", "load_document"]


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


def insert_document(connection: sqlite3.Connection, document: StoredDocument) -> tuple[int, str]:
    """Write an unpublished document within the transaction of the caller, and return its id and digest."""
    metadata, path = document.metadata, stored_path(document.metadata.path)
    digest = document.digest()
    connection.execute("DELETE FROM documents WHERE published = 0 AND (path = ? OR name = ?)", (path, metadata.name))
    cursor = connection.execute(
        f"INSERT INTO documents (published, {DOCUMENT_COLUMNS}, digest, vectors) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (metadata.name, path, *dataclasses.astuple(metadata)[2:], digest, _to_bytes(document.vectors)),
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
    return number, digest


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
