"""Keep a copy of the vectors of an index in a vector store, consistent with the index.

New vectors are copied before the documents are published, and old ones are removed afterwards, so that a reader finds
all vectors of any revision that it opens.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sra_pipelines.index.catalog import document_keys, list_documents, read_meta
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.lock import writer_lock
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import require_intact, write_seal
from sra_pipelines.index.stored_document import load_document
from sra_pipelines.index.stored_index import attached_store
from sra_pipelines.index.stores.store_urls import check_store_url, open_store
from sra_pipelines.index.stores.vector_store import VectorDocument, VectorStore

__all__ = ["bring_vectors", "drop_vectors", "leave_store", "named_store", "own_store", "push_vectors"]

Progress = Callable[[str, float, float], None]


def bring_vectors(folder: Path | str, store: VectorStore | str, *, on_progress: Progress | None = None) -> int:
    """Copy all vectors of an index to a vector store; vectors that it already holds are not copied again.

    Parameters
    ----------
    folder
        Folder of the index.
    store
        The store, or its URL (see `check_store_url`). A URL is saved in the index, which uses that store from then on.
        Without a URL, the store must be passed to `StoredIndex`, `add_documents` and `remove_documents`.
    on_progress
        Callback for a progress bar.

    Returns
    -------
    n_documents
        Number of documents that were copied.

    Raises
    ------
    IndexLockedError
        If another process changes the index.
    StoreError, VectorStoreError
        If there is no index, or the store cannot be reached.
    """
    if isinstance(store, str):
        check_store_url(store)
    folder = Path(folder)
    with connect(folder):  # raises if there is no index
        pass
    with writer_lock(folder), connect(folder, write=True) as connection:
        if not isinstance(store, str):
            n_copied = push_vectors(connection, store, on_progress)
            drop_vectors(connection, store)
            return n_copied
        meta = read_meta(connection)
        with closing(open_store(store, str(meta["index_id"]), int(meta["embedding_dimension"]))) as opened:
            n_copied = push_vectors(connection, opened, on_progress)
            drop_vectors(connection, opened)
        with transaction(connection):
            require_intact(connection, folder)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('vector_store', ?)", (store,))
            write_seal(connection)
        return n_copied


def leave_store(folder: Path) -> None:
    """Use FAISS for the index from now on; the vectors in the vector store are kept."""
    with connect(folder):
        pass
    with writer_lock(folder), connect(folder, write=True) as connection, transaction(connection):
        require_intact(connection, folder)
        connection.execute("DELETE FROM meta WHERE key = 'vector_store'")
        write_seal(connection)


def named_store(folder: Path) -> str | None:
    """Return the URL of the vector store that is set in an index; None for FAISS."""
    with connect(folder) as connection:
        url = read_meta(connection).get("vector_store")
    return None if url is None else str(url)


@contextmanager
def own_store(connection: sqlite3.Connection, given: VectorStore | None) -> Iterator[VectorStore | None]:
    """Yield the given vector store, or open the one that is set in the index; None if none is set."""
    attached = None if given is not None else attached_store(read_meta(connection))
    try:
        yield given or attached
    finally:
        if attached is not None:
            attached.close()


def push_vectors(connection: sqlite3.Connection, store: VectorStore, on_progress: Progress | None = None) -> int:
    """Copy missing vectors of published and prepared documents to the store; the caller must hold the writer lock."""
    held = store.held()
    everything = list_documents(connection) | list_documents(connection, published=False)
    keys = document_keys(connection) | document_keys(connection, published=False)
    wanted = {number: key for number, key in keys.items() if key not in held}
    dimension = EmbeddingIdentity.from_meta(read_meta(connection)).dimension

    def documents() -> Iterator[VectorDocument]:
        for done, (number, key) in enumerate(wanted.items()):
            if on_progress is not None:
                on_progress("copying vectors", done, len(wanted))
            stored, _ = load_document(connection, number, everything[number], dimension)
            yield VectorDocument(key, stored.passages, stored.vectors)

    store.add(documents())
    return len(wanted)


def drop_vectors(connection: sqlite3.Connection, store: VectorStore) -> None:
    """Remove documents that are not in the index from the store; the caller must hold the writer lock."""
    store.keep(frozenset(document_keys(connection).values()))
