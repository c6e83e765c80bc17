"""Verify an index: the database, and the digest, spans, vectors and counts of each document."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sra_pipelines.index.catalog import IndexedDocument, document_keys, list_documents, read_meta
from sra_pipelines.index.derived.derived_values import load_keyword_counts, load_structure
from sra_pipelines.index.derived.keyword_blocks import block_problems
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import damaged, is_intact
from sra_pipelines.index.stored_document import StoredDocument, load_document
from sra_pipelines.index.stores.index_vectors import own_store
from sra_pipelines.index.stores.vector_store import VectorStoreError

__all__ = ["CheckReport", "check_index"]

_UNIT = 1e-3  # tolerance for the length of a unit vector


@dataclasses.dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check.

    Parameters
    ----------
    revision
        Revision that was checked.
    n_documents, n_pages, n_passages
        Number of documents, pages and passages.
    n_prepared
        Number of documents that an interrupted ``add`` has prepared. They are not part of the index yet.
    problems
        Descriptions of the problems, one line each; empty if the index is intact.
    """

    revision: int
    n_documents: int
    n_pages: int
    n_passages: int
    n_prepared: int
    problems: tuple[str, ...]


def check_index(folder: Path, on_document: Callable[[int, int], None] | None = None) -> CheckReport:
    """Check the complete contents of an index.

    Parameters
    ----------
    folder
        Folder of the index.
    on_document
        Called with the number of documents checked so far and the total number of documents.

    Raises
    ------
    StoreError
        If there is no index, or it is too damaged to be opened.
    """
    problems: list[str] = []
    with connect(folder) as connection, transaction(connection, "DEFERRED"):
        problems += _database_problems(connection)
        if not is_intact(connection):
            problems.append("the metadata or the list of documents differs from the stored digest")
        meta = read_meta(connection)
        try:
            identity, revision = EmbeddingIdentity.from_meta(meta), int(meta["revision"])
        except (KeyError, ValueError, TypeError) as error:
            raise damaged(folder, f"its metadata cannot be read: {error!r}") from error
        published = list_documents(connection)
        prepared = list_documents(connection, published=False)
        everything = published | prepared
        for done, (number, document) in enumerate(everything.items(), start=1):
            try:
                stored, digest = load_document(connection, number, document, identity.dimension)
                load_structure(connection, number, digest)
                load_keyword_counts(connection, number, digest)
            except (ValueError, TypeError) as error:
                problems.append(f"{document.name}: {error}")
            else:
                problems += [f"{document.name}: {problem}" for problem in _document_problems(document, stored, digest)]
            if on_document is not None:
                on_document(done, len(everything))
        problems += block_problems(connection, folder)
        problems += _vector_store_problems(connection)
    return CheckReport(
        revision=revision,
        n_documents=len(published),
        n_pages=sum(document.n_pages for document in published.values()),
        n_passages=sum(document.n_passages for document in published.values()),
        n_prepared=len(prepared),
        problems=tuple(problems),
    )


def _database_problems(connection: sqlite3.Connection) -> list[str]:
    problems = [f"database: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    problems += [
        f"database: {row[0]} refers to a missing document" for row in connection.execute("PRAGMA foreign_key_check")
    ]
    return problems


def _vector_store_problems(connection: sqlite3.Connection) -> list[str]:
    try:
        with own_store(connection, None) as store:
            missing = set() if store is None else set(document_keys(connection).values()) - store.held()
    except VectorStoreError as error:
        return [str(error)]
    return [f"the vector store lacks {len(missing)} documents"] if missing else []


def _document_problems(document: IndexedDocument, stored: StoredDocument, digest: str) -> list[str]:
    problems = []
    if stored.digest() != digest:
        problems.append("its digest differs from the stored digest")
    if len(stored.pages) != document.n_pages:
        problems.append(f"{document.n_pages} pages are expected, but there are {len(stored.pages)}")
    if len(stored.passages) != document.n_passages:
        problems.append(f"{document.n_passages} passages are expected, but there are {len(stored.passages)}")
    lengths = {page.index: len(page.text) for page in stored.pages}
    wrong = sum(not 0 <= p.start < p.end <= lengths[p.page_index] for p in stored.passages)
    if wrong:
        problems.append(f"{wrong} passages exceed their page")
    norms = np.linalg.norm(stored.vectors, axis=1)
    bad = int((~(np.abs(norms - 1) < _UNIT)).sum())  # written so that NaN counts as wrong
    if bad:
        problems.append(f"{bad} vectors do not have length 1")
    return problems
