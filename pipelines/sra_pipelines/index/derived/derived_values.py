"""The values that are stored with each document: what its pages are, and the counts of its keywords.

An index of an earlier version, or by earlier rules, gets them with its next change, without new embeddings.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sra_pipelines.index.catalog import document_digests, list_documents, read_meta
from sra_pipelines.index.derived.derived_table import DerivedTable
from sra_pipelines.index.schema import KEYWORD_COUNTS, STRUCTURES, transaction
from sra_pipelines.index.seal import damaged
from sra_pipelines.index.stored_document import StoredDocument, insert_document, load_document
from sra_pipelines.retrieval.keyword_counts import KeywordCounter, counting_rules
from sra_pipelines.structure.document_structure import RULES, DocumentStructure, find_structure
from sra_pipelines.values import Passage

__all__ = [
    "add_missing_values",
    "insert_with_values",
    "load_keyword_counts",
    "load_structure",
]


def _structure(passages: Sequence[Passage]) -> str:
    return find_structure(passages).to_json()


def _counts(passages: Sequence[Passage]) -> bytes:
    return KeywordCounter().count(passages).pack()


_STRUCTURES = DerivedTable("structures", STRUCTURES, lambda: RULES, _structure, "the kinds of its pages")
_KEYWORD_COUNTS = DerivedTable("keyword_counts", KEYWORD_COUNTS, counting_rules, _counts, "the counts of its keywords")
_TABLES = (_STRUCTURES, _KEYWORD_COUNTS)


def insert_with_values(connection: sqlite3.Connection, document: StoredDocument) -> int:
    """Write an unpublished document and its values within the transaction of the caller, and return its id."""
    number, digest = insert_document(connection, document)
    for table in _TABLES:
        table.insert(connection, number, digest, document.passages)
    return number


def load_structure(connection: sqlite3.Connection, number: int, digest: str) -> DocumentStructure | None:
    """Return what the pages of a document are, if the index has it, see `DerivedTable.load`."""
    text = _STRUCTURES.load(connection, number, digest)
    return None if text is None else DocumentStructure.from_json(str(text))


def load_keyword_counts(connection: sqlite3.Connection, number: int, digest: str) -> bytes | None:
    """Return the packed counts of the keywords of a document, if the index has them, see `DerivedTable.load`."""
    value = _KEYWORD_COUNTS.load(connection, number, digest)
    return value if isinstance(value, bytes) else None


def add_missing_values(connection: sqlite3.Connection, folder: Path) -> int:
    """Compute the values that documents of an index lack; return the number of these documents.

    Raises
    ------
    StoreError
        If one of these documents is damaged.
    """
    known = {table.name: table.known(connection) for table in _TABLES}
    complete = set.intersection(*known.values())
    missing = {number: own for number, own in list_documents(connection).items() if number not in complete}
    if not missing:
        return 0
    dimension, digests = int(read_meta(connection)["embedding_dimension"]), document_digests(connection)
    for number, metadata in missing.items():
        try:
            document, _ = load_document(connection, number, metadata, dimension)
        except (ValueError, TypeError) as error:
            raise damaged(folder, f"{metadata.name}: {error}") from error
        with transaction(connection):
            for table in _TABLES:
                if number not in known[table.name]:
                    table.insert(connection, number, digests[number], document.passages)
    return len(missing)
