"""Prove that an index is whole: the database, each document's digest, spans, vectors and counts."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sra_pipelines.index.catalog import IndexedDocument, document_keys, list_documents, read_meta
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.stored_document import StoredDocument, load_document
from sra_pipelines.index.stores.index_vectors import own_store
from sra_pipelines.index.stores.vector_store import VectorStoreError

__all__ = ["CheckReport", "check_index"]

_UNIT = 1e-3  # how far from 1 a vector's length may be


@dataclasses.dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Parameters
    ----------
    revision
        Which revision was checked.
    n_documents, n_pages, n_passages
        How many there are.
    n_prepared
        Documents that an interrupted ``add`` has prepared; they are no part of the index.
    problems
        One line each; none if the index is whole.
    """

    revision: int
    n_documents: int
    n_pages: int
    n_passages: int
    n_prepared: int
    problems: tuple[str, ...]


def check_index(folder: Path, on_document: Callable[[int, int], None] | None = None) -> CheckReport:
    """Check everything that an index holds.

    Parameters
    ----------
    folder
        Where the index lies.
    on_document
        Called with documents checked and documents in all.

    Raises
    ------
    StoreError
        If there is no index, or it is damaged so that it cannot be opened.
    """
    problems: list[str] = []
    with connect(folder) as connection, transaction(connection, "DEFERRED"):
        problems += _database(connection)
        meta = read_meta(connection)
        identity = EmbeddingIdentity.from_meta(meta)
        published = list_documents(connection)
        prepared = list_documents(connection, published=False)
        everything = published | prepared
        for done, (number, about) in enumerate(everything.items(), start=1):
            try:
                stored, digest = load_document(connection, number, about, identity.dimension)
            except (ValueError, TypeError) as error:
                problems.append(f"{about.name}: {error}")
            else:
                problems += [f"{about.name}: {problem}" for problem in _document(about, stored, digest)]
            if on_document is not None:
                on_document(done, len(everything))
        problems += _vector_store(connection)
    return CheckReport(
        revision=int(meta["revision"]),
        n_documents=len(published),
        n_pages=sum(about.n_pages for about in published.values()),
        n_passages=sum(about.n_passages for about in published.values()),
        n_prepared=len(prepared),
        problems=tuple(problems),
    )


def _database(connection: sqlite3.Connection) -> list[str]:
    found = [f"database: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [
        f"database: {row[0]} refers to a missing document" for row in connection.execute("PRAGMA foreign_key_check")
    ]
    return found


def _vector_store(connection: sqlite3.Connection) -> list[str]:
    try:
        with own_store(connection, None) as store:
            missing = set() if store is None else set(document_keys(connection).values()) - store.held()
    except VectorStoreError as error:
        return [str(error)]
    return [f"the vector store lacks {len(missing)} documents"] if missing else []


def _document(about: IndexedDocument, stored: StoredDocument, digest: str) -> list[str]:
    problems = []
    if stored.digest() != digest:
        problems.append("its digest is another than the one written with it")
    if len(stored.pages) != about.n_pages:
        problems.append(f"{about.n_pages} pages are counted, {len(stored.pages)} are there")
    if len(stored.passages) != about.n_passages:
        problems.append(f"{about.n_passages} passages are counted, {len(stored.passages)} are there")
    lengths = {page.index: len(page.text) for page in stored.pages}
    wrong = sum(not 0 <= p.start < p.end <= lengths[p.page_index] for p in stored.passages)
    if wrong:
        problems.append(f"{wrong} passages reach beyond their page")
    norms = np.linalg.norm(stored.vectors, axis=1)
    bad = int((~(np.abs(norms - 1) < _UNIT)).sum())  # written so that NaN is bad too
    if bad:
        problems.append(f"{bad} vectors have not the length 1")
    return problems
