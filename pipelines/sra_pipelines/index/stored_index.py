"""An index on disk that is opened for search: one consistent revision in memory, updated only by `refresh`.

A refresh reads the documents that are new. The others are those of the revision before, recognized by their digests.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import (
    IndexedDocument,
    document_digests,
    document_keys,
    list_documents,
    own_embedding,
    read_meta,
    vector_key,
)
from sra_pipelines.index.derived.derived_values import load_keyword_counts, load_structure
from sra_pipelines.index.derived.keyword_blocks import load_blocks
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.embedding_identity import EmbeddingIdentity
from sra_pipelines.index.query_vectors import query_vector
from sra_pipelines.index.schema import connect, transaction
from sra_pipelines.index.seal import damaged, require_intact
from sra_pipelines.index.stored_document import load_document
from sra_pipelines.index.stores.framework_store import FrameworkStore
from sra_pipelines.index.stores.store_urls import open_store
from sra_pipelines.index.stores.vector_store import FaissStore, Hit, VectorDocument, VectorStore, VectorStoreError
from sra_pipelines.retrieval.keyword_counts import CountsBlock, PackedCounts
from sra_pipelines.structure.document_structure import DocumentStructure
from sra_pipelines.values import Document, Page, Passage
from sra_rag.importing import loading_many_objects

__all__ = ["StoredIndex", "attached_store", "open_index"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Contents:
    digest: str
    pages: tuple[Page, ...]
    passages: tuple[Passage, ...]
    structure: DocumentStructure | None
    keyword_counts: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Revision:
    number: int
    documents: tuple[IndexedDocument, ...]
    contents: dict[str, _Contents]  # by name
    passages: tuple[Passage, ...]
    firsts: dict[str, int]  # position of the first passage of each document, by the key of the document
    vectors: VectorStore
    counts: tuple[CountsBlock, ...]  # of documents that were there when the index was opened


class StoredIndex:
    """An index on disk, loaded into memory as of its opening or last refresh.

    Any number of processes and threads may read an index while one process writes to it.

    Parameters
    ----------
    folder
        Folder of the index.
    embedding
        Model that embeds questions; it must be the model that the index was built with.
    store
        Vector store that holds the vectors of the index, see `bring_vectors`. By default the store that is set in the
        index, or FAISS in memory if none is set.

    Attributes
    ----------
    splitting
        Name of the splitting of the index, see `sra_pipelines.reading.splitting.Splitting`.

    Raises
    ------
    StoreError
        If there is no index, it has another format version, or it is damaged: its metadata, texts and vectors are
        compared with their digests.
    VectorStoreError
        If the store cannot be reached, or does not hold all documents.
    EmbeddingMismatchError
        If the index was built with another embedding model.
    """

    def __init__(self, folder: Path | str, embedding: BaseEmbedding, *, store: VectorStore | None = None) -> None:
        self.folder = Path(folder)
        self.embedding = embedding
        with connect(self.folder) as connection, transaction(connection, "DEFERRED"):
            require_intact(connection, self.folder)
            meta = read_meta(connection)
        identity = EmbeddingIdentity.from_meta(meta)
        self._identity = EmbeddingIdentity.of(embedding)
        identity.require_same(self._identity, str(self.folder))
        self.splitting = str(meta["splitting"])
        self._attached = None if store is not None else attached_store(meta)
        self._store = store or self._attached
        with loading_many_objects():
            self._now = _load(self.folder, self._store)
        self._refreshing = threading.Lock()

    @property
    def n_passages(self) -> int:
        """Number of passages."""
        return len(self._now.passages)

    @property
    def revision(self) -> int:
        """Revision that is loaded; each change on disk increases the revision of the index."""
        return self._now.number

    def documents(self) -> Sequence[IndexedDocument]:
        """Return the documents of the index, sorted by name."""
        return self._now.documents

    def pages(self, document: str) -> Sequence[Page]:
        """Return the pages of a document.

        Raises
        ------
        KeyError
            If the document is not in the index.
        """
        return self._now.contents[document].pages

    def whole_documents(self) -> list[Document]:
        """Return all documents with their pages."""
        return [
            Document(Path(document.path), self._now.contents[document.name].pages) for document in self._now.documents
        ]

    def passages(self) -> Sequence[Passage]:
        """Return all passages, grouped by document, in reading order."""
        return self._now.passages

    def passages_of_documents(self) -> Mapping[str, Sequence[Passage]]:
        """Return the passages of the documents that have any, by name, in the order of `passages`."""
        return {name: own.passages for name, own in self._now.contents.items() if own.passages}

    def structures(self) -> Mapping[str, DocumentStructure]:
        """Return what the pages of the documents are, by name, for the documents of which the index has it."""
        contents = self._now.contents
        return {name: own.structure for name, own in contents.items() if own.structure is not None}

    def keyword_counts(self) -> Mapping[str, PackedCounts]:
        """Return the counts of keywords of the documents, by name, for the documents of which the index has them."""
        return {
            name: PackedCounts(own.passages, own.keyword_counts)
            for name, own in self._now.contents.items()
            if own.keyword_counts is not None
        }

    def keyword_blocks(self) -> Sequence[CountsBlock]:
        """Return counts of many documents together, as they were when the index was opened.

        Documents that were changed or removed since are counted there too.
        """
        return self._now.counts

    def search(self, question: str, limit: int, *, phrases: Sequence[str] = ()) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first; scores are cosines.

        `phrases` are texts that many questions share, of which `question` is one, see `query_vector`.
        """
        now = self._now  # the question is not affected by a refresh in another thread
        if not now.passages or limit < 1:
            return []
        vector = query_vector(self.embedding, question, phrases=phrases, identity=self._identity)
        most = min(limit, len(now.passages))
        n_hits, hits = most, now.vectors.search(vector, most)
        # A store that other processes write to may contain documents that are newer than this revision.
        while len(known := [hit for hit in hits if hit.key in now.firsts]) < most and len(hits) == n_hits:
            n_hits *= 2
            hits = now.vectors.search(vector, n_hits)
        return _passages(now, known[:most])

    def search_documents(
        self, question: str, limit: int, documents: Collection[str], *, phrases: Sequence[str] = ()
    ) -> list[Passage]:
        """Return the passages of some documents closest in meaning to a question, see `search`.

        With vectors in memory, the others are not read.
        """
        now = self._now
        own = [now.contents[name] for name in documents if name in now.contents]
        most = min(limit, sum(len(contents.passages) for contents in own))
        if most < 1:
            return []
        if not isinstance(now.vectors, FaissStore):
            every = self.search(question, len(now.passages), phrases=phrases)
            return [passage for passage in every if passage.document in documents][:most]
        vector = query_vector(self.embedding, question, phrases=phrases, identity=self._identity)
        hits = now.vectors.search(vector, most, among=[vector_key(contents.digest) for contents in own])
        return _passages(now, [hit for hit in hits if hit.key in now.firsts])

    def close(self) -> None:
        """Close the vector store that was opened for the index, if any. The index must not be searched afterwards."""
        if self._attached is not None:
            self._attached.close()

    def refresh(self) -> bool:
        """Load the documents that are new in the current revision on disk; return whether there is a new revision."""
        with self._refreshing:  # the revisions share one FAISS index
            with connect(self.folder) as connection:
                try:
                    number = int(read_meta(connection)["revision"])
                except (KeyError, ValueError, TypeError) as error:
                    raise damaged(self.folder, f"its revision cannot be read: {error!r}") from error
            if number == self._now.number:
                return False
            self._now = _load(self.folder, self._store, self._now)
            return True


def _passages(now: _Revision, hits: Sequence[Hit]) -> list[Passage]:
    """Return the passages of hits, with their scores."""
    return [dataclasses.replace(now.passages[now.firsts[hit.key] + hit.position], score=hit.score) for hit in hits]


def open_index(folder: Path | str, embedding: str | None = None, *, store: VectorStore | None = None) -> StoredIndex:
    """Open an index with the given embedding model, by default the model that it was built with.

    Raises
    ------
    StoreError, VectorStoreError, EmbeddingMismatchError, ModelLoadError
        See `StoredIndex` and `load_embedding`.
    """
    with connect(Path(folder)):  # raises if there is no index
        pass
    return StoredIndex(folder, load_embedding(embedding or own_embedding(Path(folder))), store=store)


def attached_store(meta: dict[str, Any]) -> FrameworkStore | None:
    """Open the vector store that is set in the metadata of an index; return None if none is set."""
    if "vector_store" not in meta:
        return None
    return open_store(str(meta["vector_store"]), str(meta["index_id"]), int(meta["embedding_dimension"]))


def _load(folder: Path, store: VectorStore | None, before: _Revision | None = None) -> _Revision:
    """Load the current revision; documents that have the same digest in the revision `before` are taken from there."""
    vectors = before.vectors if before is not None else store or FaissStore()
    with connect(folder) as connection, transaction(connection, "DEFERRED"):  # all reads see one revision
        require_intact(connection, folder)
        meta = read_meta(connection)
        dimension = int(meta["embedding_dimension"])
        contents: dict[str, _Contents] = {}
        passages: list[Passage] = []
        firsts: dict[str, int] = {}
        documents = list_documents(connection)
        keys, digests = document_keys(connection), document_digests(connection)
        for number, document in documents.items():
            known = None if before is None else before.contents.get(document.name)
            if known is None or known.digest != digests[number]:
                known, own_vectors = _read(folder, connection, number, document, dimension)
                if store is None and number in keys:
                    vectors.add([VectorDocument(keys[number], known.passages, own_vectors)])
            contents[document.name] = known
            if number in keys:
                firsts[keys[number]] = len(passages)
            passages += known.passages
        if before is None:
            by_digest = {own.digest: own.passages for own in contents.values()}
            counts = tuple(load_blocks(connection, by_digest, folder))
        else:
            counts = before.counts
    if store is None:
        vectors.keep(firsts.keys())
    elif missing := firsts.keys() - store.held():
        raise VectorStoreError(
            f"{folder}: the vector store lacks {len(missing)} of its {len(firsts)} documents. Copy them with: "
            f"sra-rag index store {folder} {meta.get('vector_store', 'URL')}"
        )
    return _Revision(
        int(meta["revision"]), tuple(documents.values()), contents, tuple(passages), firsts, vectors, counts
    )


def _read(
    folder: Path, connection: sqlite3.Connection, number: int, document: IndexedDocument, dimension: int
) -> tuple[_Contents, npt.NDArray[np.float32]]:
    """Read the contents of a document and its vectors."""
    try:
        stored, digest = load_document(connection, number, document, dimension)
        structure = load_structure(connection, number, digest)
        counts = load_keyword_counts(connection, number, digest)
    except (ValueError, TypeError) as error:
        raise damaged(folder, f"{document.name}: {error}") from error
    if stored.digest() != digest:
        raise damaged(folder, f"{document.name}: its text or vectors differ from the stored digest")
    return _Contents(digest, stored.pages, stored.passages, structure, counts), stored.vectors
