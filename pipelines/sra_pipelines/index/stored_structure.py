"""Kinds of pages in the database of an index; an index of an earlier version gets them without new embeddings."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from sra_pipelines.index.catalog import document_digests, list_documents, read_meta
from sra_pipelines.index.schema import STRUCTURES, transaction
from sra_pipelines.index.seal import damaged
from sra_pipelines.index.stored_document import StoredDocument, insert_document, load_document
from sra_pipelines.structure.document_structure import RULES, DocumentStructure, find_structure

__all__ = ["add_missing_structures", "insert_with_structure", "load_structure"]


def insert_with_structure(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """Write an unpublished document and what its pages are, see `insert_document`."""
    number = insert_document(connection, document)
    _insert(connection, number, document.digest(), find_structure(document.passages))
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
    if row[2] != _digest(digest, row[1]):
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
            _insert(connection, number, digests[number], find_structure(document.passages))
    return len(missing)


def _insert(connection: sqlite3.Connection, number: int, digest: str, structure: DocumentStructure) -> None:
    text = structure.to_json()
    connection.execute(
        "INSERT OR REPLACE INTO structures VALUES (?, ?, ?, ?)", (number, RULES, text, _digest(digest, text))
    )


def _has_table(connection: sqlite3.Connection) -> bool:
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'structures'"
    return bool(connection.execute(query).fetchone()[0])


def _digest(of_document: str, text: str) -> str:
    """Return a digest that is valid for one document only."""
    return hashlib.sha256(f"{of_document}\n{text}".encode()).hexdigest()
