"""An index on disk, opened for questions: one consistent revision in memory, changed only by `refresh`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.embeddings import BaseEmbedding

from sra_pipelines.index.catalog import IndexedDocument, document_keys, list_documents, own_embedding, read_meta
from sra_pipelines.index.embedding import load_embedding
from sra_pipelines.index.embedding_identity import EmbeddingIdentity, unit_vectors
from sra_pipelines.index.schema import StoreError, connect, transaction
from sra_pipelines.index.stored_document import load_document
from sra_pipelines.index.stores.framework_store import FrameworkStore
from sra_pipelines.index.stores.store_urls import open_store
from sra_pipelines.index.stores.vector_store import FaissStore, VectorDocument, VectorStore, VectorStoreError
from sra_pipelines.values import Document, Page, Passage

__all__ = ["StoredIndex", "attached_store", "open_index"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Revision:
    number: int
    documents: tuple[IndexedDocument, ...]
    pages: dict[str, tuple[Page, ...]]
    passages: tuple[Passage, ...]
    firsts: dict[str, int]  # the number of each document's first passage, by the document's key
    vectors: VectorStore


class StoredIndex:
    """An index on disk, held in memory as it was when it was opened or last refreshed.

    Any number of processes and threads may read while one writes.

    Parameters
    ----------
    folder
        Where the index lies.
    embedding
        Embeds questions; the model that the index was built with.
    store
        Where its vectors were brought to, see `bring_vectors`; by default the place that the index names, and if it
        names none, FAISS in memory.

    Attributes
    ----------
    splitting
        How its documents are split: the name of a `sra_pipelines.reading.splitting.Splitting`.

    Raises
    ------
    StoreError
        If there is no index, or it is damaged or of another version.
    VectorStoreError
        If the store cannot be reached, or lacks documents.
    EmbeddingMismatchError
        If the index was built with another model.
    """

    def __init__(self, folder: Path | str, embedding: BaseEmbedding, *, store: VectorStore | None = None) -> None:
        self.folder = Path(folder)
        self.embedding = embedding
        with connect(self.folder) as connection:
            meta = read_meta(connection)
        identity = EmbeddingIdentity.from_meta(meta)
        identity.require_same(EmbeddingIdentity.of(embedding), str(self.folder))
        self.splitting = str(meta["splitting"])
        self._attached = None if store is not None else attached_store(meta)
        self._store = store or self._attached
        self._now = _load(self.folder, self._store)

    @property
    def n_passages(self) -> int:
        """How many passages there are."""
        return len(self._now.passages)

    @property
    def revision(self) -> int:
        """Which revision is held; each change on disk has a greater one."""
        return self._now.number

    def documents(self) -> Sequence[IndexedDocument]:
        """Return what the index holds, in the order of names."""
        return self._now.documents

    def pages(self, document: str) -> Sequence[Page]:
        """Return a document's pages.

        Raises
        ------
        KeyError
            If the index holds no such document.
        """
        return self._now.pages[document]

    def whole_documents(self) -> list[Document]:
        """Return each document with its pages, named as its file is."""
        return [Document(Path(about.path), tuple(self._now.pages[about.name])) for about in self._now.documents]

    def passages(self) -> Sequence[Passage]:
        """Return all passages, document by document, in reading order."""
        return self._now.passages

    def search(self, question: str, limit: int) -> list[Passage]:
        """Return the passages closest in meaning to a question, best first; scores are cosines."""
        now = self._now  # a refresh in another thread changes nothing for this question
        if not now.passages or limit < 1:
            return []
        [vector] = unit_vectors([self.embedding.get_query_embedding(question)])
        most = min(limit, len(now.passages))
        asked, found = most, now.vectors.search(vector, most)
        # A store that others write may hold what this revision does not: newer documents.
        while len(known := [hit for hit in found if hit.key in now.firsts]) < most and len(found) == asked:
            asked *= 2
            found = now.vectors.search(vector, asked)
        return [
            dataclasses.replace(now.passages[now.firsts[hit.key] + hit.position], score=hit.score)
            for hit in known[:most]
        ]

    def close(self) -> None:
        """Let go of the vector store that the index names, if it names one; the index is not searched any more."""
        if self._attached is not None:
            self._attached.close()

    def refresh(self) -> bool:
        """Take over what was changed on disk since; return whether anything was."""
        with connect(self.folder) as connection:
            number = int(read_meta(connection)["revision"])
        if number == self._now.number:
            return False
        self._now = _load(self.folder, self._store)
        return True


def open_index(folder: Path | str, embedding: str | None = None, *, store: VectorStore | None = None) -> StoredIndex:
    """Open an index with the embedding model of that name, by default its own.

    Raises
    ------
    StoreError, VectorStoreError, EmbeddingMismatchError, ModelLoadError
        See `StoredIndex` and `load_embedding`.
    """
    with connect(Path(folder)):  # says at once if there is none
        pass
    return StoredIndex(folder, load_embedding(embedding or own_embedding(Path(folder))), store=store)


def attached_store(meta: dict[str, Any]) -> FrameworkStore | None:
    """Open the vector store that an index names; None if it names none."""
    if "vector_store" not in meta:
        return None
    return open_store(str(meta["vector_store"]), str(meta["index_id"]), int(meta["embedding_dimension"]))


def _load(folder: Path, store: VectorStore | None) -> _Revision:
    vectors = store or FaissStore()
    with connect(folder) as connection, transaction(connection, "DEFERRED"):  # all reads see one revision
        meta = read_meta(connection)
        dimension = int(meta["embedding_dimension"])
        pages: dict[str, tuple[Page, ...]] = {}
        passages: list[Passage] = []
        firsts: dict[str, int] = {}
        documents = list_documents(connection)
        keys = document_keys(connection)
        for number, about in documents.items():
            try:
                stored, _ = load_document(connection, number, about, dimension)
            except ValueError as error:
                raise StoreError(
                    f"{folder}: the index is damaged ({about.name}: {error}). Build it anew in another folder, or "
                    "bring back a copy."
                ) from error
            pages[about.name] = stored.pages
            if number in keys:
                firsts[keys[number]] = len(passages)
                if store is None:
                    vectors.add([VectorDocument(keys[number], stored.passages, stored.vectors)])
            passages += stored.passages
    if store is not None and (missing := firsts.keys() - store.held()):
        raise VectorStoreError(
            f"{folder}: the vector store lacks {len(missing)} of its {len(firsts)} documents. Bring them there with: "
            f"sra-rag index store {folder} {meta.get('vector_store', 'URL')}"
        )
    return _Revision(int(meta["revision"]), tuple(documents.values()), pages, tuple(passages), firsts, vectors)
