"""A document as it stands in an index: written, read back and held against its digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sra_pipelines.index.catalog import DOCUMENT_COLUMNS, IndexedDocument, stored_path
from sra_pipelines.values import Page, Passage

__all__ = ["StoredDocument", "insert_document", "load_document"]


@dataclasses.dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with all that is searched in it.

    Parameters
    ----------
    about
        Its name, origin and sizes.
    pages
        Its pages, without headings: those are in the passages.
    passages
        In reading order.
    vectors
        float32, [passages, dimension], unit length.
    """

    about: IndexedDocument
    pages: tuple[Page, ...]
    passages: tuple[Passage, ...]
    vectors: npt.NDArray[np.float32]

    def digest(self) -> str:
        """SHA-256 over everything but the path, so that a flipped bit in text, spans or vectors shows."""
        about = self.about
        rows = [
            [about.name, about.sha256, about.bytes, about.n_pages, about.n_passages],
            [[page.index, page.label, page.text] for page in self.pages],
            [[p.page_index, p.start, p.end, p.section] for p in self.passages],
        ]
        digest = hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode())
        digest.update(_to_bytes(self.vectors))
        return digest.hexdigest()


def insert_document(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """Write a document that is prepared but not yet published, within the caller's transaction; return its id."""
    about, path = document.about, stored_path(document.about.path)
    connection.execute("DELETE FROM documents WHERE published = 0 AND (path = ? OR name = ?)", (path, about.name))
    cursor = connection.execute(
        f"INSERT INTO documents (published, {DOCUMENT_COLUMNS}, digest, vectors) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (about.name, path, *dataclasses.astuple(about)[2:], document.digest(), _to_bytes(document.vectors)),
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
    connection: sqlite3.Connection, number: int, about: IndexedDocument, dimension: int
) -> tuple[StoredDocument, str]:
    """Read a document back, with the digest that was written beside it.

    Raises
    ------
    ValueError
        If a passage lies on no page, or the vectors are not as many as the passages.
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
        raise ValueError("a passage lies on a page that is not there")
    passages = tuple(
        Passage(
            document=about.name,
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
        raise ValueError(f"{len(passages)} passages of {dimension} numbers, but {len(blob)} bytes of vectors")
    vectors = np.frombuffer(blob, dtype="<f4").reshape(len(passages), dimension)
    return StoredDocument(about, pages, passages, vectors), str(digest)


def _to_bytes(vectors: npt.NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()
